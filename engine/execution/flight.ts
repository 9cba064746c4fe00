import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import type { LedgerCounts } from '../observability/ledger.ts';
import type { StateFlush, OffsetRange } from './commit-log.ts';
import type { SectionResult } from './section.ts';
import type { PartitionWatermark } from '../time/partition-watermarks.ts';

/** A micro-batch on its way from the source to the commit, with all that has to be committed beside its records. */
export interface Flight {
  /** Counts the task's committed batches. */
  readonly batchSequence: number;
  readonly ranges: readonly OffsetRange[];
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
  readonly ledger: LedgerCounts;
  /** The partitions' watermarks behind the batch. */
  readonly watermarksMs: readonly PartitionWatermark[];
  /** The batch as the source gave it, for brokers' timestamps and for the bytes of dead letters; `null` where it gave records. */
  readonly messages: MessageBatch | null;
  readonly state: StateFlush | null;
  /** See `SectionResult`; `null` before the operators too. */
  readonly absorbed: SectionResult['absorbed'];
  /** See `SectionResult`; absent before the operators. */
  readonly amended?: SectionResult['amended'];
  /** As `amended`. */
  readonly letGoEarly?: SectionResult['letGoEarly'];
}
