import type { MessageBatch } from '../record/message-batch.ts';
import type { PartitionOffset } from '../source/source.ts';
import type { StateReader, StateWrite } from '../state/state-store.ts';

/** The records of one partition that a batch covers: offsets `[from, to)`. */
export interface OffsetRange {
  readonly partition: number;
  readonly from: number;
  readonly to: number;
  /**
   * Of an empty range alone: there, among the ranges around it, the partition was found idle (ADR 0045). Its watermark goes on by so many milliseconds, counted from its records; 0 where it
   * stays. A clock said so once; whoever follows the order follows what was said.
   */
  readonly idleForMs?: number;
}

/**
 * What is committed with a batch and read back on recovery, beside the offsets (Kafka: the offset's metadata; embedded: a row).
 * `batchSequence` counts the committed batches of the task from 0.
 */
export interface CommitMetadata {
  readonly batchSequence: number;
  /** `W_p` of each partition after the batch, so that a restart goes on with the same watermarks. */
  readonly watermarksMs: readonly { readonly partition: number; readonly watermarkMs: number }[];
  /** Digest of everything in the job that decides outputs and state; a different one may not go on silently. */
  readonly jobDigest: string;
  /** Digest of the model that scored the batch; empty for a job without one. */
  readonly modelDigest: string;
}

/** State as of the end of a batch: absolute values of the keys that changed since the last one that was written. */
export interface StateFlush {
  readonly writes: readonly StateWrite[];
}

/**
 * One batch to commit: `[from, to)` of each partition it read, in the order in which the operators saw them, its output messages by
 * topic, and, when the coalescing interval is up, the state.
 */
export interface Commit {
  readonly ranges: readonly OffsetRange[];
  readonly metadata: CommitMetadata;
  /** Their partitions are set; their offsets are assigned by the log that takes them. */
  readonly outputs: readonly MessageBatch[];
  readonly state: StateFlush | null;
}

/** Where a task stands when it is acquired: go on at `committed` (C) once `[stateAt, committed)` has been replayed in silence. */
export interface Acquired {
  readonly committed: readonly PartitionOffset[];
  /** Metadata of the last commit; `null` when the task never committed. */
  readonly metadata: CommitMetadata | null;
  /** The offsets that the stored state reflects (S ≤ C), with the watermarks as of there. */
  readonly stateAt: readonly PartitionOffset[];
  readonly stateMetadata: CommitMetadata | null;
  /**
   * How the records in `[S, C)` were interleaved, batch by batch: a task that reads several partitions must follow the order as written
   * (semantics, "Per-key order and determinism"). A task of one partition may give one range.
   */
  readonly replay: readonly (readonly OffsetRange[])[];
}

/**
 * The commit point of a task (exactly-once, "The commit protocol"): outputs, offsets and, when given, state take effect together or not
 * at all, and only while the caller still owns the task. Embedded: one LMDB transaction. Cluster: a Kafka transaction, then a
 * compare-and-set in Redis.
 *
 * Called by the batch loop only: `acquire()` once, then `commit()` one at a time, in order; after any rejection of `commit` other than
 * a `transient` one the log may only be disposed of, and the task is acquired anew.
 */
export interface CommitLog extends AsyncDisposable {
  /**
   * Fences the former owner, settles what it left open, and says where the task stands.
   *
   * @throws {SluiceError} `TASK_FENCED`, `STATE_AHEAD_OF_LOG`, `LOG_TRUNCATED`, `JOB_CHANGED`; each names what to do.
   */
  acquire(): Promise<Acquired>;
  /** State as of `Acquired.stateAt` and what was committed since. */
  readonly state: StateReader;
  /**
   * Resolves when the batch is durable and visible to readers of the output topics.
   *
   * @throws {SluiceError} `TASK_FENCED` when another owner has taken over; `STORAGE_FULL` when nothing could be written (nothing was).
   */
  commit(batch: Commit): Promise<void>;
}
