import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field } from '../../engine/record/schema.ts';
import type { WatermarkScope } from '../keyed/scoped-watermarks.ts';
import type { ErrorPolicy } from '../row/call-outcome.ts';
import type { Cell } from '../row/output-rows.ts';

/** A record that has begun a match, as it is remembered. */
export interface FirstRecord {
  readonly eventTimeMs: number;
  /** Of the rules' `carried` fields, in their order. */
  readonly cells: readonly Cell[];
}

/** The rules, over one batch. */
export interface OpenRules {
  /** Whether a row begins a match. */
  begins(row: number): boolean;
  /**
   * Which of some first records a row completes: for each the cells of the result, or null.
   *
   * @param firsts in the order of their arrival; never empty.
   */
  complete(row: number, firsts: readonly FirstRecord[]): readonly (readonly Cell[] | null)[];
}

/** What begins a match, what completes it, and what is then given out: as expressions (`expressionRules`), or as a person's functions (`functionRules`). */
export interface PatternRules {
  /** The fields of the first record that completing a match, and its result, read. */
  readonly carried: readonly string[];
  /** The fields of a result. */
  readonly outputs: readonly Field[];
  /** Called once a batch. */
  open(batch: RecordBatch): OpenRules;
}

/** One record, and a later one of the same key within a time: Flink's `begin(A).followedBy(B).within(T)`, answered in arrival order. */
export interface PatternDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The key's columns, in order. */
  readonly key: readonly string[];
  /** The later record's event time is less than this after the first one's, and not before it. */
  readonly withinMs: number;
  /** How far the watermark is behind the newest record of a partition. */
  readonly delayMs: number;
  /** Of records of several inputs: each one's delay, in the place of `delayMs`; see `ScopedWatermarks`. */
  readonly inputDelaysMs?: readonly number[];
  readonly closedBy: WatermarkScope;
  /** What becomes of a record that a function of the rules throws on. */
  readonly errors: ErrorPolicy;
}
