import type { AggregateValue, StateBytes, StateWriter } from './state-bytes.ts';

/** Where a value stands in the total order of its stream: by event time, ties by position (semantics, "Time and order"). */
export interface ValueTime {
  readonly eventTimeMs: number;
  readonly partition: number;
  readonly offset: number;
}

/** What a plan can know of an aggregate before it runs; `explain` shows it. */
export interface AggregateTraits {
  /** `reversible`: a value can be taken out again ({@link Aggregator.retract}) and leaves no trace, so that a sliding window needs no recomputing. */
  readonly reversal: 'reversible' | 'irreversible';
  /** `bounded`: the state of one window has a size that its records cannot exceed. */
  readonly memory: 'bounded' | 'unbounded';
  /** The size of one window's state, in words. */
  readonly stateSize: string;
  /** How exact the answer is, in words. */
  readonly accuracy: string;
}

/**
 * The algebra of one aggregate (after Chronon and Flink's AggregateFunction): values go into a state, states of disjoint sets of records are merged,
 * and a state gives an answer. Pure: the operator that calls it owns the states, keeps them by key and window, and stores them.
 *
 * Laws, held by `aggregators.test.ts` for every aggregate, where ≡ says that `finish` gives the same bits:
 *
 * - `create()` is neutral: merging it in, or merging into it, ≡ the other state.
 * - merging is commutative and associative, and merging the states of parts ≡ the state of the whole (space-saving counts: once they are full,
 *   within their stated error).
 * - `decode(encode(state))` ≡ `state`, now and after any further update.
 * - `retract` undoes `update`: ≡ the state before.
 */
export interface Aggregator<State> {
  readonly traits: AggregateTraits;
  /** The state of no records. */
  create(): State;
  /**
   * Takes in one record's value, which is not null.
   *
   * @param carried the record's values of further columns, for an aggregate that keeps such; copied where they are kept.
   */
  update(state: State, value: AggregateValue, time: ValueTime, carried?: readonly (AggregateValue | null)[]): void;
  /** Takes a value out again that was taken in before; there where the traits say `reversible`. */
  retract?(state: State, value: AggregateValue): void;
  /** Adds the records of `from`, which stays as it is and is not kept. */
  merge(into: State, from: State): void;
  /** The answer so far; `null` for none. A structured answer is JSON text. */
  finish(state: State): AggregateValue | null;
  /** Writes the state; the bytes depend on it alone. */
  encode(state: State, to: StateWriter): void;
  /** Reads what `encode` wrote. @throws {RangeError} where the bytes are cut off. */
  decode(from: StateBytes): State;
}

/** Whether `a` stands before `b` in the total order. */
export function isBefore(a: ValueTime, b: ValueTime): boolean {
  if (a.eventTimeMs !== b.eventTimeMs) return a.eventTimeMs < b.eventTimeMs;
  return a.partition === b.partition ? a.offset < b.offset : a.partition < b.partition;
}

/** Orders numbers by size before texts by code unit: what ties between values are broken by, and how sets are written. */
export function compareValues(a: AggregateValue, b: AggregateValue): number {
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The value as a number, for aggregates that the plan gives numbers only. */
export function numberOf(value: AggregateValue): number {
  return typeof value === 'number' ? value : NaN;
}
