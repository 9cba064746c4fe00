import { sliceMessages, type MessageBatch } from '../../engine/record/message-batch.ts';
import { keyPartitioner, type Partitioner } from '../../engine/serde/partitioner.ts';
import type { Clock } from '../../engine/time/clock.ts';
import { encodeTransactions } from '../../simulation/stream/encode-transactions.ts';
import type { StreamOptions } from '../../simulation/stream/stream-options.ts';
import type { TransactionChunk } from '../../simulation/stream/transaction-chunk.ts';
import { transactionStream } from '../../simulation/stream/transaction-stream.ts';

/** How often a paced producer appends: small enough not to be seen in the latency, large enough to cost nothing. */
const tickMs = 5;

/** Where simulated messages go: their offsets are the log's affair. Resolves when they can be read. */
export type Append = (messages: MessageBatch) => Promise<void>;

/** What a simulated producer makes. */
export interface SimulatedProducerOptions {
  readonly topic: string;
  readonly partitions: number;
  readonly world: Partial<StreamOptions>;
}

/**
 * Writes a simulated stream of transactions to a topic, as the outside world would: JSON keyed by card, in order of arrival, stamped with the time of
 * writing. One stream in two parts: `writeHistory`, as fast as it goes, then `writeLive` at a rate.
 */
export class SimulatedProducer {
  readonly #topic: string;
  readonly #partitioner: Partitioner;
  readonly #append: Append;
  readonly #clock: Clock;
  readonly #chunks: Iterator<TransactionChunk>;
  /** Encoded, and not written yet: the messages of the latest chunk from `#pendingFrom` on. */
  #pending: MessageBatch | null = null;
  #pendingFrom = 0;
  #written = 0;

  constructor({ topic, partitions, world }: SimulatedProducerOptions, append: Append, clock: Clock) {
    this.#topic = topic;
    this.#partitioner = keyPartitioner(partitions);
    this.#append = append;
    this.#clock = clock;
    this.#chunks = transactionStream(world);
  }

  /** How many records were written. */
  get written(): number {
    return this.#written;
  }

  /** Writes everything that arrives up to `untilMs`, as fast as the log takes it. */
  async writeHistory(untilMs: number, signal: AbortSignal): Promise<void> {
    for (let reachedMs = -Infinity; reachedMs < untilMs && !signal.aborted;) {
      reachedMs = this.#encodeNext();
      await this.#writePending(Infinity);
    }
  }

  /** Writes at `ratePerSecond` until the signal is aborted; what it was held back by, it catches up with. */
  async writeLive(ratePerSecond: number, signal: AbortSignal): Promise<void> {
    const startedMs = this.#clock.monotonicMs();
    const writtenBefore = this.#written;
    while (!signal.aborted) {
      const dueRecords = Math.floor(((this.#clock.monotonicMs() - startedMs) / 1_000) * ratePerSecond);
      for (let owed = dueRecords - (this.#written - writtenBefore); owed > 0 && !signal.aborted;) {
        if (this.#pending === null) this.#encodeNext();
        owed -= await this.#writePending(owed);
      }
      await this.#clock.sleep(tickMs, signal);
    }
  }

  /** Makes the next chunk's messages pending; gives the arrival time of its last. */
  #encodeNext(): number {
    // The stream is endless, so there always is a next chunk.
    const chunk = this.#chunks.next().value as TransactionChunk;
    const { keys, values } = encodeTransactions(chunk, 'include');
    const partitions = Int32Array.from({ length: chunk.rowCount }, (_, row) => this.#partitioner(keys, row, 0));
    this.#pending = {
      topic: this.#topic,
      messageCount: chunk.rowCount,
      partitions,
      offsets: new Float64Array(chunk.rowCount),
      timestampsMs: new Float64Array(chunk.rowCount),
      keys,
      values,
    };
    this.#pendingFrom = 0;
    return chunk.arrivalMs[chunk.rowCount - 1] ?? Infinity;
  }

  /** Writes at most `limit` of the pending messages; gives how many. */
  async #writePending(limit: number): Promise<number> {
    const pending = this.#pending;
    if (pending === null) return 0;
    const from = this.#pendingFrom;
    const to = Math.min(pending.messageCount, from + limit);
    const messages = sliceMessages(pending, from, to);
    messages.timestampsMs.fill(this.#clock.nowMs());
    await this.#append(messages);
    this.#pendingFrom = to;
    if (to === pending.messageCount) this.#pending = null;
    this.#written += to - from;
    return to - from;
  }
}
