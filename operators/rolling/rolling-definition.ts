/** The aggregate functions of a rolling feature, by the names that job files use. */
export type RollingFunction =
  | 'count'
  | 'sum'
  | 'avg'
  | 'min'
  | 'max'
  | 'stddev'
  | 'first'
  | 'last'
  | 'distinct'
  | 'sinceLast'
  | 'lastN'
  | 'decayedSum';

/**
 * One rolling feature: `function` of the column `input` over the records of the same key with `t − delay − over < x.t ≤ t − delay`
 * (semantics, "Rolling features"). Frozen plain data; the columns exist in the input's schema, which the plan has checked.
 */
export interface RollingAggregate {
  /** The output column's name. */
  readonly name: string;
  readonly function: RollingFunction;
  /**
   * The column that is aggregated; `null` for `count` (which counts records) and for `sinceLast`. Records whose input is null do not take part
   * in any function with an input. Numeric, but for `first`, `last`, `distinct` and `lastN`, which also take strings.
   */
  readonly input: string | null;
  /** A boolean column: only records where it is 1 take part. `null`: all do. */
  readonly where: string | null;
  /** The window's length R, > 0. */
  readonly overMs: number;
  /** How long ago the window ends, ≥ 0: what was known that long ago. */
  readonly delayMs: number;
  /** Whether the record itself is in its own window; only with a delay of 0 does it make a difference. */
  readonly current: 'include' | 'exclude';
  /** `lastN`: how many values, newest first, as the columns `name_1` … `name_n`. Otherwise `null`. */
  readonly n: number | null;
  /** `decayedSum`: a value counts half after this long. Otherwise `null`. */
  readonly halfLifeMs: number | null;
}

/**
 * How a rolling operator keeps records in panes, which are aligned to the epoch and closed on the right (`pane-times.ts`): windows then begin at the start of a pane. Frozen plain data.
 */
export interface PaneRule {
  /** The length of a pane, > 0 and at most that of the shortest window. */
  readonly sizeMs: number;
  /**
   * `compact`: only keys that hold more records than this are kept in panes, from the first record on at which they do, and only what is older than any record in time can split. Absent
   * for `resolution`: all keys are.
   */
  readonly aboveRecords?: number;
}

/** A rolling operator: all aggregates that share a key, and so a state. */
export interface RollingDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The key's columns, in order. */
  readonly key: readonly string[];
  readonly aggregates: readonly RollingAggregate[];
  /** How long behind the watermark a record may come and still find its whole window (ADR 0010). */
  readonly allowedLatenessMs: number;
  /** Absent where each record is kept: `resolution: exact`. With panes, every aggregate is one that `tilingProblem` has nothing against. */
  readonly panes?: PaneRule;
}
