import kafka from '@confluentinc/kafka-javascript';
import { systemClock } from '../../../engine/time/clock.ts';

/** The client's callbacks as promises; with nothing of the product's own readers and writers in between. */
export function asPromise<T>(call: (done: (error: unknown, value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      // The client gives null, undefined or an object that is no Error.
      if (error === null || error === undefined) resolve(value);
      else reject(error instanceof Error ? error : new Error(JSON.stringify(error)));
    });
  });
}

/** A message as a plain consumer gives it. */
export interface RawMessage {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly key: Buffer | null;
  readonly value: Buffer;
}

/** A plain consumer of whole topics, from their start, of committed messages only. It belongs to no group and commits nothing. */
export class RawReader {
  readonly #consumer: kafka.KafkaConsumer;

  private constructor(consumer: kafka.KafkaConsumer) {
    this.#consumer = consumer;
  }

  static async open(broker: string, topics: Readonly<Record<string, number>>): Promise<RawReader> {
    const consumer = new kafka.KafkaConsumer(
      {
        'bootstrap.servers': broker,
        'group.id': 'checker',
        'enable.auto.commit': false,
        'enable.partition.eof': true,
        'isolation.level': 'read_committed',
        'fetch.wait.max.ms': 50,
        'reconnect.backoff.max.ms': 500,
      },
      { 'auto.offset.reset': 'earliest' },
    );
    await asPromise<kafka.Metadata>((done) => consumer.connect({}, done));
    consumer.assign(
      Object.entries(topics).flatMap(([topic, count]) =>
        Array.from({ length: count }, (_, partition) => ({ topic, partition, offset: 0 })),
      ),
    );
    return new RawReader(consumer);
  }

  /** What has come within `waitMs`; nothing where the broker is away. */
  async next(waitMs: number): Promise<RawMessage[]> {
    this.#consumer.setDefaultConsumeTimeout(waitMs);
    try {
      const messages = await asPromise<kafka.Message[]>((done) => this.#consumer.consume(2_000, done));
      return messages.map(({ topic, partition, offset, key, value }) => ({
        topic,
        partition,
        offset,
        key: typeof key === 'string' ? Buffer.from(key) : (key ?? null),
        value: value ?? Buffer.alloc(0),
      }));
    } catch {
      await systemClock.sleep(waitMs);
      return [];
    }
  }

  /** Told when the end of a partition is reached: a committed reader's end. */
  onEnd(listener: (topic: string, partition: number) => void): void {
    this.#consumer.on('partition.eof', ({ topic, partition }) => listener(topic, partition));
  }

  async close(): Promise<void> {
    await asPromise<kafka.ClientMetrics>((done) => this.#consumer.disconnect(done));
  }
}

/** All that committed readers see of some topics now. */
export async function dump(broker: string, topics: Readonly<Record<string, number>>): Promise<RawMessage[]> {
  const reader = await RawReader.open(broker, topics);
  const ended = new Set<string>();
  reader.onEnd((topic, partition) => ended.add(`${topic} ${partition}`));
  const all: RawMessage[] = [];
  const count = Object.values(topics).reduce((sum, partitions) => sum + partitions, 0);
  while (ended.size < count) all.push(...(await reader.next(100)));
  for (let more = await reader.next(100); more.length > 0; more = await reader.next(100)) all.push(...more);
  await reader.close();
  return all;
}

/** A commit of a group's position, as the broker's own log of them has it. */
export interface CommittedRecord {
  /** Place in the log of commits; of one group all are in one partition. */
  readonly at: number;
  readonly partition: number;
  readonly offset: number;
  readonly metadata: string;
}

/** Every position that a group ever committed in a topic, in order, from the broker's own log (`__consumer_offsets`, formats OffsetCommitKey and OffsetCommitValue). */
export async function dumpCommits(broker: string, group: string, topic: string): Promise<CommittedRecord[]> {
  const messages = await dump(broker, { __consumer_offsets: 4 });
  return messages.flatMap(({ offset: at, key, value }): CommittedRecord[] => {
    if (key === null || value.length === 0 || key.readInt16BE(0) > 1) return [];
    const groupLength = key.readInt16BE(2);
    const topicLength = key.readInt16BE(4 + groupLength);
    const topicStart = 6 + groupLength;
    if (key.toString('utf8', 4, 4 + groupLength) !== group) return [];
    if (key.toString('utf8', topicStart, topicStart + topicLength) !== topic) return [];
    const partition = key.readInt32BE(topicStart + topicLength);
    const version = value.readInt16BE(0);
    const textAt = version >= 3 ? 14 : 10;
    const metadata = version >= 4 ? compactText(value, textAt) : plainText(value, textAt);
    return [{ at, partition, offset: Number(value.readBigInt64BE(2)), metadata }];
  });
}

/** A text behind its length in two bytes. */
function plainText(bytes: Buffer, at: number): string {
  return bytes.toString('utf8', at + 2, at + 2 + bytes.readInt16BE(at));
}

/** A text behind one more than its length, seven bits a byte, the lowest first (KIP-482). */
function compactText(bytes: Buffer, at: number): string {
  let [length, next] = [0, at];
  for (let shift = 0; ; shift += 7) {
    const byte = bytes.readUInt8(next++);
    length += (byte & 0x7f) << shift;
    if (byte < 0x80) return bytes.toString('utf8', next, next + length - 1);
  }
}

/** What can be asked and done as an administrator. */
export class RawAdmin implements Disposable {
  readonly #admin: kafka.IAdminClient;

  constructor(broker: string) {
    this.#admin = kafka.AdminClient.create({ 'bootstrap.servers': broker });
  }

  async createTopic(topic: string, partitions: number): Promise<void> {
    await asPromise<void>((done) =>
      this.#admin.createTopic({ topic, num_partitions: partitions, replication_factor: 1 }, 30_000, (error) =>
        done(error, undefined),
      ),
    );
  }

  /** The positions of a group by partition, as last committed; those of transactions under way are left out. The group must exist: the client crashes otherwise. */
  async positions(groupId: string, topic: string, partitions: number): Promise<Map<number, number>> {
    const listed = Array.from({ length: partitions }, (_, partition) => ({ topic, partition }));
    const [group] = await asPromise<kafka.GroupResults[]>((done) =>
      this.#admin.listConsumerGroupOffsets(
        [{ groupId, partitions: listed }],
        { timeout: 10_000, requireStableOffsets: false },
        done,
      ),
    );
    return new Map(
      (group?.partitions ?? []).map(({ partition, offset }) => [
        partition,
        offset !== undefined && offset >= 0 ? offset : 0,
      ]),
    );
  }

  /** Deletes all records of a partition below an offset, as retention does. */
  async truncate(topic: string, partition: number, offset: number): Promise<void> {
    await asPromise((done) => this.#admin.deleteRecords([{ topic, partition, offset }], { timeout: 10_000 }, done));
  }

  [Symbol.dispose](): void {
    this.#admin.disconnect();
  }
}
