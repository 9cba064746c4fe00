import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import kafka from '@confluentinc/kafka-javascript';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isRunning } from './launched-process.ts';
import { kafkaAnswers, startKafka, type KafkaService } from './start-kafka.ts';

const { AdminClient, KafkaConsumer, Producer } = kafka;

/** The callback API of the client as promises. */
function called<T = void>(
  call: (done: (error: kafka.LibrdKafkaError | null, value: T) => void) => unknown,
): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(new Error(`${error.code} ${error.message}`)) : resolve(value)));
  });
}

async function transactionalProducer(bootstrap: string): Promise<kafka.Producer> {
  const producer = new Producer({ 'bootstrap.servers': bootstrap, 'transactional.id': 'writer' });
  await called<kafka.Metadata>((done) => producer.connect({}, done));
  await called((done) => producer.initTransactions(30_000, done));
  return producer;
}

/** All that the isolation level lets one see of a topic's only partition. */
async function readAll(bootstrap: string, level: 'read_committed' | 'read_uncommitted'): Promise<string[]> {
  const consumer = new KafkaConsumer(
    { 'bootstrap.servers': bootstrap, 'group.id': 'reader', 'isolation.level': level, 'enable.partition.eof': true },
    {},
  );
  await called<kafka.Metadata>((done) => consumer.connect({}, done));
  const ends: kafka.EofEvent[] = [];
  consumer.on('partition.eof', (end) => ends.push(end));
  consumer.setDefaultConsumeTimeout(50);
  consumer.assign([{ topic: 'letters', partition: 0, offset: 0 }]);
  const values: string[] = [];
  while (ends.length === 0) {
    const messages = await called<kafka.Message[]>((done) => consumer.consume(10, done));
    values.push(...messages.map(({ value }) => String(value)));
  }
  await called<kafka.ClientMetrics>((done) => consumer.disconnect(done));
  return values;
}

describe('a Kafka broker of ours', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-kafka-'));
  let broker: KafkaService;
  const disconnects: (() => Promise<unknown>)[] = [];

  beforeAll(async () => {
    broker = await startKafka({ dir });
    const admin = AdminClient.create({ 'bootstrap.servers': broker.bootstrap });
    await called((done) => admin.createTopic({ topic: 'letters', num_partitions: 1, replication_factor: 1 }, done));
    admin.disconnect();
  });

  afterAll(async () => {
    await Promise.all(disconnects.map((disconnect) => disconnect()));
    await broker.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  it('has real transactions: a committed reader sees neither what was aborted nor what is still open', async () => {
    const producer = await transactionalProducer(broker.bootstrap);
    disconnects.push(() => called((done) => producer.disconnect(done)));
    for (const [value, end] of [
      ['a', 'commit'],
      ['b', 'abort'],
      ['c', 'commit'],
    ] as const) {
      await called((done) => producer.beginTransaction(done));
      producer.produce('letters', 0, Buffer.from(value));
      await called((done) => producer.flush(10_000, done));
      await called((done) =>
        end === 'commit' ? producer.commitTransaction(10_000, done) : producer.abortTransaction(10_000, done),
      );
    }
    await called((done) => producer.beginTransaction(done));
    producer.produce('letters', 0, Buffer.from('d'));
    await called((done) => producer.flush(10_000, done));

    expect(await readAll(broker.bootstrap, 'read_uncommitted')).toEqual(['a', 'b', 'c', 'd']);
    expect(await readAll(broker.bootstrap, 'read_committed')).toEqual(['a', 'c']);
  });

  it('fences a producer whose transactional id another one has taken', async () => {
    const former = await transactionalProducer(broker.bootstrap);
    disconnects.push(() => called((done) => former.disconnect(done)));
    await called((done) => former.beginTransaction(done));
    const latter = await transactionalProducer(broker.bootstrap);
    disconnects.push(() => called((done) => latter.disconnect(done)));

    former.produce('letters', 0, Buffer.from('zombie'));
    await expect(called((done) => former.commitTransaction(10_000, done))).rejects.toThrow('fenced');
    expect(await readAll(broker.bootstrap, 'read_committed')).toEqual(['a', 'c']);
  });

  it('keeps what was committed through a kill, and comes back on the same port', async () => {
    const { port } = broker;
    await broker.kill();
    expect(isRunning(broker.process)).toBe(false);
    expect(await kafkaAnswers(port)).toBe(false);

    broker = await startKafka({ dir, port });

    expect(broker.port).toBe(port);
    expect(await readAll(broker.bootstrap, 'read_committed')).toEqual(['a', 'c']);
  });

  it('keeps it through an orderly stop, too', async () => {
    await broker.stop();
    broker = await startKafka({ dir });
    expect(await readAll(broker.bootstrap, 'read_committed')).toEqual(['a', 'c']);
  });

  it('says what stands in the way when the port is taken', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'sluice-kafka-'));
    await expect(startKafka({ dir: elsewhere, port: broker.port })).rejects.toMatchObject({
      code: 'SERVICE_NOT_STARTED',
      message: expect.stringContaining('in use'),
    });
    rmSync(elsewhere, { recursive: true, force: true });
  });
});
