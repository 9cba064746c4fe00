import { strict as assert } from 'node:assert';
import kafka from '@confluentinc/kafka-javascript';
import { SluiceError } from '../../error.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source.ts';
import { CallsInFlight } from './calls-in-flight.ts';
import { connectConsumer } from './connect-consumer.ts';
import { codeOf, kafkaCall, kafkaCode, kafkaFailure } from './kafka-failure.ts';
import { clientProperties, type KafkaSettings } from './kafka-settings.ts';
import { messageBatchOf } from './message-slabs.ts';

const requestTimeoutMs = 10_000;
/** How many messages of a partition the client reads ahead at least, as long as they have less than the bytes that it may. */
const readAheadMessages = 10_000;
/** How long a poll may go on after its signal was aborted. */
const waitSliceMs = 50;

/** Which topic to read, and how much of it. */
export interface KafkaSourceOptions {
  readonly settings: KafkaSettings;
  readonly topic: string;
  /** The partitions of the task, or every one that the topic has. */
  readonly partitions: readonly number[] | 'all';
  /** How much the client reads ahead of what was polled, in kibibytes for each partition; 4,096 where absent. */
  readonly readAheadKiB?: number;
}

/** A method that the client has, and its types leave out. */
interface ConsumeTimeouts {
  setDefaultIsTimeoutOnlyForFirstMessage(isOnlyForFirst: boolean): void;
}

/**
 * Partitions of a Kafka topic, read from given offsets, with transactions that were aborted or are still open left out
 * (`read_committed`). It has no part in a consumer group and commits nothing: `ConsumerGroup` says which partitions are a worker's,
 * the commit log where they stand, and each task reads its own through a client of its own, so that one partition's backlog never stands
 * in front of another's records.
 *
 * An offset that the broker no longer has is an error (`auto.offset.reset=error`), never a reason to start elsewhere.
 */
export class KafkaSource implements Source {
  readonly name: string;
  readonly #topic: string;
  readonly #options: KafkaSourceOptions;
  readonly #consumer: kafka.KafkaConsumer;
  readonly #calls = new CallsInFlight();
  readonly #positions = new Map<number, number>();
  /** What the client was told not to fetch. */
  #paused: ReadonlySet<number> = new Set();
  #partitions: readonly number[] | null = null;

  private constructor(options: KafkaSourceOptions, consumer: kafka.KafkaConsumer) {
    this.#topic = options.topic;
    this.#options = options;
    this.#consumer = consumer;
    this.name = `topic ${options.topic}`;
    consumer.on('partition.eof', ({ partition, offset }) => {
      if (this.#positions.has(partition)) this.#positions.set(partition, offset);
    });
  }

  /**
   * Connects, and looks the topic up.
   *
   * @throws {SluiceError} `TOPIC_MISSING`, `KAFKA_REFUSED`; `KAFKA_UNAVAILABLE` (transient) when no broker answers.
   */
  static async open(options: KafkaSourceOptions): Promise<KafkaSource> {
    const consumer = new kafka.KafkaConsumer(
      {
        ...clientProperties(options.settings),
        // Required by the client; nothing joins or commits under it.
        'group.id': `${options.settings.clientId}.reader`,
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
        'enable.partition.eof': true,
        'isolation.level': 'read_committed',
        'queued.max.messages.kbytes': options.readAheadKiB ?? 4_096,
        // The client's own bookkeeping of a message is larger than most messages, and is not in the bytes above.
        'queued.min.messages': readAheadMessages,
        'fetch.wait.max.ms': 100,
        'fetch.error.backoff.ms': 50,
      },
      { 'auto.offset.reset': 'error' },
    );
    const source = new KafkaSource(options, consumer);
    try {
      await source.#connect();
    } catch (error) {
      await source[Symbol.asyncDispose]();
      throw error;
    }
    return source;
  }

  async #connect(): Promise<void> {
    const { topic, partitions, settings } = this.#options;
    const metadata = await connectConsumer(this.#consumer, topic, settings).catch((error: unknown) =>
      this.#fail('connect to', error),
    );
    const found = metadata.topics.find(({ name }) => name === topic)?.partitions.map(({ id }) => id) ?? [];
    const wanted = partitions === 'all' ? found.toSorted((a, b) => a - b) : partitions;
    const missing = wanted.filter((partition) => !found.includes(partition));
    if (wanted.length === 0 || missing.length > 0) {
      const words =
        found.length === 0
          ? 'there is no such topic'
          : `it has ${found.length} partitions, and not ${missing.join(', ')}`;
      throw new SluiceError(
        'TOPIC_MISSING',
        `could not read topic ${topic}: ${words}; create it, or correct its name in the job`,
        {
          fields: { topic },
        },
      );
    }
    this.#partitions = wanted;
    const timeouts = this.#consumer as unknown as ConsumeTimeouts;
    // Otherwise a trickle of records, each within the wait of the one before, would hold a poll up for as long as it flows.
    timeouts.setDefaultIsTimeoutOnlyForFirstMessage(true);
  }

  /** `endOffset` is the last stable offset: what a committed reader can reach now. */
  async ranges(): Promise<readonly PartitionRange[]> {
    const ranges: PartitionRange[] = [];
    for (const partition of this.#connected) {
      const { lowOffset, highOffset } = await this.#call<kafka.WatermarkOffsets>((done) =>
        this.#consumer.queryWatermarkOffsets(this.#topic, partition, requestTimeoutMs, done),
      ).catch((error: unknown) => this.#fail('ask for the offsets of', error));
      ranges.push({ partition, startOffset: lowOffset, endOffset: highOffset });
    }
    return ranges;
  }

  /**
   * Where each partition that is read stands: the next offset to ask for. It is beyond the last record polled where control records of
   * transactions, which are never seen, follow it up to the end of the partition.
   */
  positions(): readonly PartitionOffset[] {
    return [...this.#positions].map(([partition, offset]) => ({ partition, offset }));
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#positions.clear();
    // A new assignment is fetched whole.
    this.#paused = new Set();
    for (const { partition, offset } of offsets) {
      assert(this.#connected.includes(partition), `partition ${partition} is not of this source`);
      this.#positions.set(partition, offset);
    }
    const topic = this.#topic;
    try {
      if (offsets.length === 0) this.#consumer.unassign();
      else this.#consumer.assign(offsets.map(({ partition, offset }) => ({ topic, partition, offset })));
    } catch (error) {
      this.#fail('seek in', error);
    }
    return Promise.resolve();
  }

  /** @throws {SluiceError} `OFFSET_OUT_OF_RANGE` when the broker does not have the offset (any more); nothing is reset. */
  async poll({ maxRecords, maxWaitMs, signal, paused }: PollBounds): Promise<Polled | null> {
    this.#pause(paused ?? new Set());
    let messages: kafka.Message[] = [];
    // The client cannot be told to stop waiting, so it waits a little at a time.
    for (let leftMs = Math.max(1, Math.ceil(maxWaitMs)); messages.length === 0 && leftMs > 0; leftMs -= waitSliceMs) {
      if (signal?.aborted === true) return null;
      messages = await this.#consume(maxRecords, Math.min(leftMs, waitSliceMs));
    }
    if (messages.length === 0) return null;
    for (const { partition, offset } of messages) {
      if ((this.#positions.get(partition) ?? 0) <= offset) this.#positions.set(partition, offset + 1);
    }
    return { kind: 'messages', messages: messageBatchOf(this.#topic, messages) };
  }

  /** Has the client fetch nothing of some partitions; what it has read ahead of them it lets go, and fetches again once they go on. */
  #pause(paused: ReadonlySet<number>): void {
    const before = this.#paused;
    const place = (partition: number): kafka.TopicPartition => ({ topic: this.#topic, partition });
    const own = [...paused].filter((partition) => this.#positions.has(partition));
    const more = own.filter((partition) => !before.has(partition));
    const goOn = [...before].filter((partition) => !paused.has(partition));
    if (more.length > 0) this.#consumer.pause(more.map(place));
    if (goOn.length > 0) this.#consumer.resume(goOn.map(place));
    if (more.length > 0 || goOn.length > 0) this.#paused = new Set(own);
  }

  async #consume(maxRecords: number, waitMs: number): Promise<kafka.Message[]> {
    this.#consumer.setDefaultConsumeTimeout(waitMs);
    try {
      return await this.#call<kafka.Message[]>((done) => this.#consumer.consume(maxRecords, done));
    } catch (error) {
      if (codeOf(error) === kafkaCode.autoOffsetReset || codeOf(error) === kafkaCode.offsetOutOfRange) {
        throw await this.#outOfRange(error);
      }
      this.#fail('read', error);
    }
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#calls.drained();
    if (!this.#consumer.isConnected()) return;
    await kafkaCall<kafka.ClientMetrics>((done) => this.#consumer.disconnect(done));
  }

  #call<T>(call: Parameters<typeof kafkaCall<T>>[0]): Promise<T> {
    return this.#calls.run(() => kafkaCall(call));
  }

  get #connected(): readonly number[] {
    assert(this.#partitions !== null, 'a source is opened before it is used');
    return this.#partitions;
  }

  /** The client does not say which partition it was, so each is looked at. */
  async #outOfRange(cause: unknown): Promise<SluiceError> {
    const topic = this.#topic;
    for (const { partition, startOffset, endOffset } of await this.ranges()) {
      const offset = this.#positions.get(partition);
      if (offset === undefined || (offset >= startOffset && offset <= endOffset)) continue;
      return new SluiceError(
        'OFFSET_OUT_OF_RANGE',
        `topic ${topic} must still hold partition ${partition} from offset ${offset}; it holds offsets ${startOffset} to ${endOffset}. ` +
          'Keep records for longer than the job may stand still, or say where it is to go on',
        { fields: { topic, partition, offset }, cause },
      );
    }
    return kafkaFailure(`read topic ${topic}`, cause, { topic });
  }

  #fail(action: string, error: unknown): never {
    throw kafkaFailure(`${action} topic ${this.#topic}`, error, { topic: this.#topic });
  }
}
