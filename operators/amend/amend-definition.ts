import type { DerivedColumn } from '../derive/derive.ts';
import type { WatermarkScope } from '../keyed/scoped-watermarks.ts';
import type { RollingDefinition } from '../rolling/rolling-definition.ts';

/** How far a feature may be off before its decision is amended. */
export type Tolerance =
  /** By more than this share of what was told last, in magnitude: 0.05 is five in a hundred. */
  | { readonly kind: 'relative'; readonly share: number }
  /** By more than this, in the feature's own unit. */
  | { readonly kind: 'absolute'; readonly by: number };

/** A feature column whose deviation amends a decision. */
export interface WatchedColumn {
  readonly column: string;
  readonly tolerance: Tolerance;
}

/** What computes the features, in order: the steps of the job's plan. */
export type AmendStep =
  | { readonly kind: 'derive'; readonly columns: readonly DerivedColumn[] }
  | { readonly kind: 'rolling'; readonly definition: RollingDefinition };

/** An amending operator: which decisions it watches, and when it amends one (docs/amendments.md, ADR 0044). Frozen plain data, but for the compiled expressions. */
export interface AmendDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The fields that key the input; whoever looks into the state finds records by them. */
  readonly key: readonly string[];
  /** The fields of the record that an amendment names its decision by. */
  readonly identity: readonly string[];
  /** The columns that are told before and after, in order. */
  readonly features: readonly string[];
  readonly watched: readonly WatchedColumn[];
  /** How far behind the watermark, in event time, decisions are watched; > 0. */
  readonly withinMs: number;
  readonly steps: readonly AmendStep[];
  /** Whose watermark lets a decision go: that of its partition, or, where the keys of features spread over partitions, the least of all. */
  readonly closedBy: WatermarkScope;
  /** Fields of the record that go out with its amendments, under `recordColumn`, for a model that reads them beside the features; absent for none. */
  readonly carried?: readonly string[];
  /**
   * How many records of each key of each entity are kept at most, the newest by event time; absent for as many as there are. Only with steps that `acrossEntities` finds nothing in: what is let go
   * of a key then is in no window of another.
   */
  readonly maxRecordsPerKey?: number;
}
