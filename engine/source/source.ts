import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';

/** The next offset to read in one partition: everything below it has been read. */
export interface PartitionOffset {
  readonly partition: number;
  readonly offset: number;
}

/** What one partition of a source holds now: offsets `[startOffset, endOffset)`. */
export interface PartitionRange {
  readonly partition: number;
  readonly startOffset: number;
  readonly endOffset: number;
  /** That nothing will be added to it: a file has been read when its end is. Absent for a topic. */
  readonly isFinal?: true;
}

/** Undecoded messages: topics give these, and the job's decoder turns them into records. */
export interface MessagesPolled {
  readonly kind: 'messages';
  readonly messages: MessageBatch;
}

/** Records in columns already: files and generators give these. Rows that could not be read are beside them. */
export interface RecordsPolled {
  readonly kind: 'records';
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** One poll's worth of input. Offsets of one partition are consecutive from poll to poll. */
export type Polled = MessagesPolled | RecordsPolled;

/** How much one poll may bring and how long it may wait for the first record. */
export interface PollBounds {
  readonly maxRecords: number;
  readonly maxWaitMs: number;
  readonly signal?: AbortSignal;
  /** Partitions of which this poll is to bring nothing, though they may have something: they go on where they stand once they are not named. Absent: none. */
  readonly paused?: ReadonlySet<number>;
}

/**
 * Where records come from. The batch loop is the only caller, from one place, one call at a time:
 *
 *   `ranges()` → `seek(offsets)` → (`poll()`)* → `[Symbol.asyncDispose]()`
 *
 * - Pulled: nothing is read, nor buffered beyond one poll, before `poll` asks.
 * - `poll` resolves with at most `maxRecords` as soon as there is at least one, with `null` when there was none for `maxWaitMs` or the signal
 *   was aborted. It never reads the same offset twice between two `seek`s and never skips one without a {@link DeadLetter}.
 * - `poll` after the end of a *bounded* source gives `'end'`; unbounded sources never do.
 * - A source holds no committed position: the commit log does, and hands it to `seek`, which may be called again at any time between polls
 *   (after an aborted batch, say).
 * - Errors are `SluiceError`s; after a `transient` one the same call may be made again, after a `permanent` one only disposal.
 */
export interface Source extends AsyncDisposable {
  /** For plans, errors and metrics: `topic transactions`, `file transactions.parquet`. */
  readonly name: string;
  /** The partitions and what they hold. A source of one file has partition 0. */
  ranges(): Promise<readonly PartitionRange[]>;
  /** Reads on from these offsets; partitions that are not named are not read. */
  seek(offsets: readonly PartitionOffset[]): Promise<void>;
  /**
   * Where each partition that is read stands, for a source that may stand further than behind the last record that it gave, since what follows is nothing that anybody will see (Kafka's markers of transactions). Absent:
   * nowhere else.
   */
  positions?(): readonly PartitionOffset[];
  /** See above: records, `null` for none within the wait, `end` for a bounded source that has no more. */
  poll(bounds: PollBounds): Promise<Polled | null | 'end'>;
}
