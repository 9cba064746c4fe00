import { strict as assert } from 'node:assert';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import type { HandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { asPromise, RawAdmin, RawReader } from '../faults/real/raw-kafka.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const input = 'handbook';
const answers = 'handbook_features';

/** A broker with the job's topics, a Redis, and the job's files. */
export class HandbookServices implements AsyncDisposable {
  readonly dir: string;
  readonly #partitions: number;
  readonly #broker: KafkaService;
  readonly #redis: RedisService;
  readonly #producer: kafka.Producer;

  private constructor(dir: string, partitions: number, broker: KafkaService, redis: RedisService) {
    this.dir = dir;
    this.#partitions = partitions;
    this.#broker = broker;
    this.#redis = redis;
    // Idempotent, so that what is sent once more does not come after what followed it.
    this.#producer = new kafka.Producer(
      {
        'bootstrap.servers': broker.bootstrap,
        'enable.idempotence': true,
        'queue.buffering.max.messages': 1_000_000,
      },
      { partitioner: 'murmur2_random' },
    );
  }

  static async start(partitions: number): Promise<HandbookServices> {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-parity-'));
    const broker = await startKafka({
      dir: join(dir, 'kafka'),
      jvm: 'steady',
      settings: { 'group.min.session.timeout.ms': '1000' },
    });
    const redis = await startRedis({ dir: join(dir, 'redis') });
    const services = new HandbookServices(dir, partitions, broker, redis);
    using admin = new RawAdmin(broker.bootstrap);
    for (const topic of [input, answers]) await admin.createTopic(topic, partitions);
    await asPromise<kafka.Metadata>((done) => services.#producer.connect({}, done));
    services.#writeFiles();
    return services;
  }

  get jobFile(): string {
    return join(this.dir, 'jobs', 'handbook.yaml');
  }

  get settingsFile(): string {
    return join(this.dir, 'settings.yaml');
  }

  /** All answers from the first on. */
  readAnswers(): Promise<RawReader> {
    return RawReader.open(this.#broker.bootstrap, { [answers]: this.#partitions });
  }

  /** Sends rows `[from, to)` in their order, by customer. */
  async send(transactions: HandbookTransactions, from: number, to: number): Promise<void> {
    const { transactionId, eventTimeMs, customerId, terminalId, amount, fraud, fraudScenario } = transactions;
    for (let row = from; row < to; row++) {
      const record = {
        TRANSACTION_ID: transactionId[row],
        TX_DATETIME: eventTimeMs[row],
        CUSTOMER_ID: customerId[row],
        TERMINAL_ID: terminalId[row],
        TX_AMOUNT: amount[row],
        TX_FRAUD: fraud[row],
        TX_FRAUD_SCENARIO: fraudScenario[row],
      };
      this.#producer.produce(input, null, Buffer.from(JSON.stringify(record)), String(customerId[row]));
    }
    await asPromise<void>((done) => this.#producer.flush(60_000, (error) => done(error, undefined)));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await asPromise<kafka.ClientMetrics>((done) => this.#producer.disconnect(done));
    await this.#redis.kill();
    await this.#broker.kill();
    rmSync(this.dir, { recursive: true, force: true });
  }

  /** The shipped job with a topic as its source, and the shipped features. */
  #writeFiles(): void {
    mkdirSync(join(this.dir, 'jobs'));
    cpSync(join(root, 'features'), join(this.dir, 'features'), { recursive: true });
    const shipped = readFileSync(join(root, 'jobs/handbook.yaml'), 'utf8');
    const job = shipped.replace(/^ {2}parquet:.*$/m, `  topic: ${input}`);
    assert(job !== shipped, 'the shipped job reads a Parquet file');
    writeFileSync(this.jobFile, `${job}\napp: parity\ndeadLetters: { topic: handbook_bad }\n`);
    const { host, port } = this.#redis;
    writeFileSync(
      this.settingsFile,
      `kafka: { brokers: ['${this.#broker.bootstrap}'], sessionTimeout: 3s }\nredis: { url: 'redis://${host}:${port}' }\nstate: { workingSetBytes: 1048576 }\n`,
    );
  }
}
