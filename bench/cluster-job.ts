import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import kafka from '@confluentinc/kafka-javascript';
import { systemClock } from '../engine/time/clock.ts';
import { KafkaAdmin } from '../engine/source/kafka/kafka-admin.ts';
import { asPromise } from '../tests/faults/real/raw-kafka.ts';
import { startKafka, type KafkaService } from '../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../tools/services/start-redis.ts';
import { childrenOf, residentMiBOf } from './processes.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const partitions = 4;
const tickMs = 20;
const startMs = 1_700_000_000_000;

/** A job of rolling features on a Kafka and a Redis of its own, run by the `sluice` command in processes of their own. */
export class ClusterJob implements AsyncDisposable {
  readonly redis: RedisService;
  readonly #dir: string;
  readonly #broker: KafkaService;
  /** Of the job's group by name only: it joins nothing, and asks where the job stands. */
  readonly #positions: kafka.KafkaConsumer;
  readonly #ends: KafkaAdmin;
  readonly #jobFile: string;
  readonly #name: string;
  #producer: kafka.Producer | null = null;
  #worker: ChildProcess | null = null;
  #sent = 0;

  private constructor(dir: string, broker: KafkaService, redis: RedisService, name: string, jobFile: string) {
    this.#dir = dir;
    this.#broker = broker;
    this.redis = redis;
    this.#name = name;
    this.#jobFile = jobFile;
    this.#positions = new kafka.KafkaConsumer(
      { 'bootstrap.servers': broker.bootstrap, 'group.id': `bench.${name}`, 'isolation.level': 'read_uncommitted' },
      {},
    );
    this.#ends = new KafkaAdmin({ brokers: [broker.bootstrap], clientId: 'bench' });
  }

  static async start(name: string): Promise<ClusterJob> {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-bench-'));
    const broker = await startKafka({
      dir: join(dir, 'kafka'),
      jvm: 'steady',
      settings: { 'group.min.session.timeout.ms': '1000' },
    });
    const redis = await startRedis({ dir: join(dir, 'redis') });
    const jobFile = join(dir, 'jobs', 'job.yaml');
    for (const folder of ['jobs', 'features']) mkdirSync(join(dir, folder));
    writeFileSync(
      join(dir, 'features', 'card.yaml'),
      `entity: card
features:
  count_1d: { count: true, over: 1d }
  sum_1d: { sum: amount, over: 1d }
  avg_30d: { avg: amount, over: 30d }
  max_30d: { max: amount, over: 30d }
`,
    );
    writeFileSync(
      jobFile,
      `job: ${name}
app: bench
source:
  topic: ${name}.in
  fields: { id: string, card: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 1s }
features: [card]
sinks: [{ topic: ${name}.out }]
deadLetters: { topic: ${name}.bad }
`,
    );
    const job = new ClusterJob(dir, broker, redis, name, jobFile);
    await job.#ends.createTopic({ topic: `${name}.in`, partitions });
    await asPromise<kafka.Metadata>((done) => job.#positions.connect({}, done));
    const producer = new kafka.Producer({
      'bootstrap.servers': broker.bootstrap,
      'queue.buffering.max.messages': 1_000_000,
      'linger.ms': 5,
    });
    await asPromise<kafka.Metadata>((done) => producer.connect({}, done));
    job.#producer = producer;
    return job;
  }

  /** Starts the command; what it says on trouble goes to our own standard error. */
  startWorker(): void {
    this.#worker = spawn(
      process.execPath,
      ['--import', 'tsx', 'cli/main.ts', 'run', this.#jobFile, '--profile', 'cluster'],
      {
        cwd: root,
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          UV_THREADPOOL_SIZE: '32',
          SLUICE_KAFKA_BROKERS: this.#broker.bootstrap,
          SLUICE_REDIS_URL: `redis://${this.redis.host}:${this.redis.port}`,
        },
      },
    );
  }

  /** Kills the command and every process that it started, as a machine that goes down would. */
  async killWorker(): Promise<void> {
    const worker = this.#worker;
    if (worker?.pid === undefined || worker.exitCode !== null || worker.signalCode !== null) return;
    const gone = once(worker, 'exit');
    for (const pid of [...childrenOf(worker.pid), worker.pid]) process.kill(pid, 'SIGKILL');
    await gone;
  }

  /** Resident memory of the command's processes together, in MiB; 0 where it does not run. */
  get residentMiB(): number {
    const pid = this.#worker?.pid;
    if (pid === undefined) return 0;
    return [pid, ...childrenOf(pid)].reduce((sum, each) => sum + residentMiBOf(each), 0);
  }

  /** Sends one record of each card, as fast as it goes. */
  async sendEachCard(cards: number): Promise<void> {
    for (let card = 0; card < cards; card += 10_000) {
      for (let i = card; i < Math.min(cards, card + 10_000); i++) this.#send(i);
      await this.#flush();
    }
  }

  /** Sends so many records a second, of cards by turns, until the signal. */
  async sendSteadily(recordsPerSecond: number, cards: number, signal: AbortSignal): Promise<void> {
    const beginMs = systemClock.monotonicMs();
    let due = 0;
    for (let sent = 0; !signal.aborted;) {
      due = ((systemClock.monotonicMs() - beginMs) * recordsPerSecond) / 1_000;
      for (; sent < due; sent++) this.#send((sent * 7_919) % cards);
      this.#producer?.poll();
      await systemClock.sleep(tickMs);
    }
    await this.#flush();
  }

  /** Records that are in the input and not committed yet. */
  async lag(): Promise<number> {
    let end = 0;
    for (let partition = 0; partition < partitions; partition++) {
      end += await this.#ends.endOffset(`${this.#name}.in`, partition);
    }
    return end - (await this.committed());
  }

  /** The sum of all committed offsets. */
  async committed(): Promise<number> {
    const topic = `${this.#name}.in`;
    const listed = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const positions = await asPromise<kafka.TopicPartitionOffsetAndMetadata[]>((done) =>
      this.#positions.committed(listed, 10_000, done),
    );
    // Where nothing was committed yet the client gives no offset, whatever its types say.
    return positions.reduce((sum, { offset }) => sum + Math.max(0, (offset as number | undefined) ?? 0), 0);
  }

  /**
   * Waits until something beyond `committed` was committed, and no more than so many records are not; says how long either took, in
   * milliseconds.
   */
  async caughtUp(
    maxLagRecords: number,
    committed: number,
  ): Promise<{ readonly firstMs: number; readonly allMs: number }> {
    const beginMs = systemClock.monotonicMs();
    while ((await this.committed()) <= committed) await systemClock.sleep(50);
    const firstMs = systemClock.monotonicMs() - beginMs;
    while ((await this.lag()) > maxLagRecords) await systemClock.sleep(50);
    return { firstMs, allMs: systemClock.monotonicMs() - beginMs };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killWorker();
    await new Promise<void>((resolve) => this.#producer?.disconnect(0, () => resolve()));
    await asPromise<kafka.ClientMetrics>((done) => this.#positions.disconnect(done));
    this.#ends[Symbol.dispose]();
    await this.redis.kill();
    await this.#broker.kill();
    rmSync(this.#dir, { recursive: true, force: true });
  }

  #send(card: number): void {
    const at = startMs + this.#sent++ * 10;
    const value = JSON.stringify({ id: `r${this.#sent}`, card: `c${card}`, at, amount: (this.#sent % 977) + 1 });
    this.#producer?.produce(`${this.#name}.in`, card % partitions, Buffer.from(value), `c${card}`);
  }

  async #flush(): Promise<void> {
    const producer = this.#producer;
    if (producer !== null) await asPromise<void>((done) => producer.flush(60_000, (error) => done(error, undefined)));
  }
}
