import type { MessageBatch } from '../../record/message-batch.ts';
import type { SlabPool } from '../../record/slab-pool.ts';
import type { Storage } from '../../storage/storage.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source.ts';
import { fairShares } from './fair-shares.ts';

/** One poll brings no more than this, however large the messages are; beyond it, fewer messages than were asked for. */
const maxPollBytes = 64 * 1024 * 1024;

/**
 * A topic of the embedded log as a source. Unbounded: it never ends. Messages of this process's commits are seen at once, those of other
 * processes within about 5 ms.
 *
 * The storage is the caller's, and outlives the source.
 */
export class EmbeddedTopicSource implements Source {
  readonly name: string;
  readonly #storage: Storage;
  readonly #topicName: string;
  readonly #slabs: SlabPool | null;
  readonly #positions = new Map<number, number>();
  /** Which partition comes first: the next one each time. */
  #turn = 0;

  /** @param slabs where the memory of what is read is from, for a reader that gives it back; fresh where there is none. */
  constructor(storage: Storage, topicName: string, slabs: SlabPool | null = null) {
    this.name = `topic ${topicName}`;
    this.#storage = storage;
    this.#topicName = topicName;
    this.#slabs = slabs;
  }

  /** @throws {SluiceError} `TOPIC_MISSING` */
  async ranges(): Promise<readonly PartitionRange[]> {
    return Promise.resolve(this.#storage.ranges(this.#topicName));
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#positions.clear();
    for (const { partition, offset } of offsets) this.#positions.set(partition, offset);
    return Promise.resolve();
  }

  /** @throws {SluiceError} `OFFSET_OUT_OF_RANGE` when retention has overtaken a position; `TOPIC_MISSING`, `STORAGE_CORRUPT` */
  async poll(bounds: PollBounds): Promise<Polled | null> {
    const { appended, clock } = this.#storage;
    // A backlog is there at once, and promises alone would carry its reader on until it is worked off: signals, timers, followers and other threads' answers
    // come only when the event loop turns.
    await new Promise((resolve) => setImmediate(resolve));
    const messages = await appended.until(() => this.#read(bounds), bounds.maxWaitMs, clock, bounds.signal);
    return messages === null ? null : { kind: 'messages', messages };
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  #read({ maxRecords, paused }: PollBounds): MessageBatch | null {
    const { environment, log } = this.#storage;
    environment.refresh();
    return environment.read(`read topic ${this.#topicName}`, () => {
      const topic = this.#storage.topic(this.#topicName);
      const ends = new Map(log.ranges(topic).map(({ partition, endOffset }) => [partition, endOffset]));
      const open = [...this.#positions.keys()].filter((partition) => paused?.has(partition) !== true);
      const order = rotated(open, this.#turn);
      const available = order.map((partition) => {
        // A position beyond the end is one that the log refuses by name when it is read.
        const records = (ends.get(partition) ?? 0) - (this.#positions.get(partition) ?? 0);
        return { partition, records: records < 0 ? 1 : records };
      });
      const reads = fairShares(available, maxRecords).map(({ partition, records }) => ({
        partition,
        offset: this.#positions.get(partition) ?? 0,
        maxRecords: records,
      }));
      if (reads.length === 0) return null;
      const messages = log.read(topic, reads, maxPollBytes, this.#slabs);
      if (messages === null) return null;
      this.#turn += 1;
      for (let i = 0; i < messages.messageCount; i++) {
        this.#positions.set(messages.partitions[i] ?? 0, (messages.offsets[i] ?? 0) + 1);
      }
      return messages;
    });
  }
}

function rotated(partitions: readonly number[], turn: number): readonly number[] {
  const start = partitions.length === 0 ? 0 : turn % partitions.length;
  return [...partitions.slice(start), ...partitions.slice(0, start)];
}
