import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { Decoder } from '../serde/decoder.ts';
import type { Source } from '../source/source.ts';
import type { StateReader } from '../state/state-store.ts';
import type { Schema } from '../record/schema.ts';
import type { AlignmentRule } from '../time/alignment.ts';
import type { IdleRule } from '../time/idle-partitions.ts';
import type { HoldRule, PartitionWatermarks } from '../time/partition-watermarks.ts';
import type { WatermarkRule } from '../time/stamp-watermarks.ts';
import type { CommitLog } from './commit-log.ts';
import type { Pace } from './paced-reader.ts';
import type { Section } from './section.ts';

/** What a task's state starts from: nothing, or what the store holds, as of these watermarks. */
export interface SectionStart {
  readonly state: 'empty' | 'stored';
  readonly watermarks: PartitionWatermarks;
  /** For a task that reads what several others have written: how operators that go by the least watermark of all partitions find it. */
  readonly hold?: HoldRule;
  /** The same of each of several inputs. */
  readonly holds?: readonly HoldRule[];
  /** As {@link QueryBounds} has it, for all operators of the task together. */
  readonly workingSetBytes?: number | undefined;
}

/** Records with their scores as further columns, and those that the model gave no number for. */
export interface Scored {
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** The outputs of one batch, and the records that could not be written. */
export interface Outputs {
  readonly messages: readonly MessageBatch[];
  readonly deadLetters: readonly DeadLetter[];
}

/** Everything that a streaming query is made of; its parts were checked before. The query owns `source` and `commitLog` and disposes of them. */
export interface QueryDefinition {
  /** The job's name, for errors, logs and progress. */
  readonly name: string;
  readonly jobDigest: string;
  readonly modelDigest: string;
  readonly source: Source;
  /** `null` where the source gives records. */
  readonly decoder: Decoder | null;
  readonly watermark: WatermarkRule;
  /**
   * When partitions are idle; absent for a query in which nothing waits for another partition's watermark, or for the clock. `schema`: of the records that the operators are given; where the rule says that
   * others hear of it (`heardBy`), of those that `score` is given, and the operators are told nothing.
   */
  readonly idle?: IdleRule & { readonly schema: Schema };
  /** How far ahead of the others a partition may be read; absent: as it comes. It changes the order in which partitions are read, which is recorded, and so what is held in state. */
  readonly alignment?: AlignmentRule;
  readonly commitLog: CommitLog;
  /** Builds the operators with the state that the task has. Called once for each acquisition. */
  openSection(start: SectionStart, state: StateReader): Section;
  /** Starts scoring a batch; calls may overlap. The identity for a job without a model. */
  score(records: RecordBatch): Promise<Scored>;
  /** Writes a batch as messages, ready to commit. */
  encode(records: RecordBatch): Outputs;
  /**
   * Writes records that came too late for an operator whose outputs are records of their own, for a topic of theirs. Called for batches that have some;
   * without it they are dropped, and counted.
   */
  encodeLate?(late: RecordBatch): Outputs;
  /** Starts scoring what was said anew of records that were answered before, which then goes to `encodeAmended`. Absent where nothing of it is scored. */
  scoreAmended?(amended: RecordBatch): Promise<RecordBatch>;
  /** Writes what was said anew of records that were answered before, for a topic of its own. Called for batches that have some; a query whose section amends has it. */
  encodeAmended?(amended: RecordBatch): Outputs;
  /** Writes dead letters as messages. Called for batches that have some; throws where the job's policy is to fail. */
  encodeDeadLetters(deadLetters: readonly DeadLetter[]): MessageBatch;
  /** How the query cuts batches and when it flushes state. */
  readonly bounds: QueryBounds;
}

/** The named limits of a query; each is a setting, none changes an output. */
export interface QueryBounds {
  readonly maxBatchRecords: number;
  /** How long a poll waits for a first record. */
  readonly maxPollWaitMs: number;
  /** Batches between the source and the commit at once. */
  readonly maxBatchesInFlight: number;
  /**
   * State is written at most this often, and so seldom that writing takes less than a hundredth of the time; the gap is replayed after a crash. With 0 it is
   * written whenever that share allows.
   */
  readonly flushEveryMs: number;
  /**
   * About how much of its keys' state a task holds in memory: when it holds more, the keys that were asked for least lately are let go once they are in the store, and read
   * again, those of a batch in one call. Absent: all of it.
   */
  readonly workingSetBytes?: number | undefined;
  /** Absent: the next batch is read as soon as there is something, and room. */
  readonly pace?: Pace;
}

/** Bounds that suit one machine. */
export const defaultBounds: QueryBounds = {
  maxBatchRecords: 1_000,
  maxPollWaitMs: 50,
  maxBatchesInFlight: 4,
  flushEveryMs: 1_000,
  workingSetBytes: 1_073_741_824,
};
