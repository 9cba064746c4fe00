import { deviation } from '../aggregate/moments.ts';
import { ExactSum } from '../aggregate/exact-sum.ts';
import {
  addSquareToSum,
  addToSum,
  clearSum,
  mergeSum,
  squareBins,
  sumBins,
  sumWidth,
  termsOfSum,
  valueOfSum,
} from './binned-sum.ts';
import type { PanePart } from './pane-layout.ts';
import { paneSegment, type PaneWalk } from './pane-walk.ts';
import type { RollingFunction } from './rolling-definition.ts';

/**
 * One aggregate of one stored column, over rows and panes in any order: what it comes to depends on the set of records alone. A null answer is NaN. One is made for each walk of an operator,
 * and used for all records.
 */
interface PaneAggregator {
  /** Begins with no records. */
  begin(): void;
  /** Takes in the record itself. @param value not NaN. */
  own(eventTimeMs: number, value: number): void;
  /** Takes in the rows `[from, to)` of `walk.rows`. */
  takeRows(walk: PaneWalk, from: number, to: number): void;
  /** Takes in the panes `[from, to)` of `walk.panes`. */
  takePanes(walk: PaneWalk, from: number, to: number): void;
  /** @param eventTimeMs the record's own. */
  answer(eventTimeMs: number): number;
}

/**
 * Answers the windows that `walk` has found, and writes a result for each from index 0 on.
 *
 * @param windows the indices of these windows, ascending.
 * @param own the record's own value where it is in its windows; NaN where it is not, or null.
 */
export function runPaneWalk(
  aggregator: PaneAggregator,
  walk: PaneWalk,
  windows: Int32Array,
  eventTimeMs: number,
  own: number,
  results: Float64Array,
): void {
  aggregator.begin();
  if (own === own) aggregator.own(eventTimeMs, own);
  let segment = 0;
  for (let w = 0; w < windows.length; w++) {
    const end = walk.ends[windows[w] ?? 0] ?? 0;
    for (; segment < end; segment++) {
      const from = walk.froms[segment] ?? 0;
      const to = walk.tos[segment] ?? 0;
      if (walk.kinds[segment] === paneSegment) aggregator.takePanes(walk, from, to);
      else aggregator.takeRows(walk, from, to);
    }
    results[w] = aggregator.answer(eventTimeMs);
  }
}

/** The aggregator of a function that `tilingProblem` has nothing against. */
export function paneAggregatorOf(name: RollingFunction, part: PanePart): PaneAggregator {
  switch (name) {
    case 'count':
      return new CountOver(part);
    case 'sum':
    case 'avg':
      return new SumOver(part, name);
    case 'stddev':
      return new DeviationOver(part);
    case 'min':
      return new ExtremeOver(part.column, part.minimum, -1);
    case 'max':
      return new ExtremeOver(part.column, part.maximum, 1);
    case 'first':
      return new EndOver(part.column, part.first, 'first');
    case 'last':
      return new EndOver(part.column, part.last, 'last');
    case 'sinceLast':
      return new EndOver(part.column, part.last, 'since');
    case 'distinct':
    case 'lastN':
    case 'decayedSum':
      throw new RangeError(`${name} is not answered from panes: the plan refuses it`);
  }
}

/** How many records, or values. */
class CountOver implements PaneAggregator {
  readonly #part: PanePart;
  #count = 0;

  constructor(part: PanePart) {
    this.#part = part;
  }

  begin(): void {
    this.#count = 0;
  }

  own(): void {
    this.#count++;
  }

  takeRows({ rows, rowStride }: PaneWalk, from: number, to: number): void {
    const { column } = this.#part;
    this.#count += column < 0 ? to - from : valuesIn(rows, from, to, (1 + column) * rowStride);
  }

  takePanes({ panes, paneStride }: PaneWalk, from: number, to: number): void {
    this.#count += totalOf(panes, from, to, (1 + this.#part.count) * paneStride);
  }

  answer(): number {
    return this.#count;
  }
}

/** The sum or the mean. */
class SumOver implements PaneAggregator {
  readonly #part: PanePart;
  readonly #finish: 'sum' | 'avg';
  readonly #sum = new Float64Array(sumWidth(sumBins));
  #count = 0;

  constructor(part: PanePart, finish: 'sum' | 'avg') {
    this.#part = part;
    this.#finish = finish;
  }

  begin(): void {
    this.#count = 0;
    clearSum(this.#sum, 0, 1, sumBins);
  }

  own(_eventTimeMs: number, value: number): void {
    this.#count++;
    addToSum(this.#sum, 0, 1, sumBins, value);
  }

  takeRows({ rows, rowStride }: PaneWalk, from: number, to: number): void {
    const offset = (1 + this.#part.column) * rowStride;
    for (let row = from; row < to; row++) {
      const value = rows[row + offset] ?? NaN;
      if (value !== value) continue;
      this.#count++;
      addToSum(this.#sum, 0, 1, sumBins, value);
    }
  }

  takePanes({ panes, paneStride }: PaneWalk, from: number, to: number): void {
    this.#count += totalOf(panes, from, to, (1 + this.#part.count) * paneStride);
    const offset = (1 + this.#part.sum) * paneStride;
    for (let pane = from; pane < to; pane++) mergeSum(this.#sum, sumBins, panes, pane + offset, paneStride);
  }

  answer(): number {
    if (this.#count === 0) return NaN;
    const sum = valueOfSum(this.#sum, sumBins);
    return this.#finish === 'sum' ? sum : sum / this.#count;
  }
}

/** The sample standard deviation. */
class DeviationOver implements PaneAggregator {
  readonly #part: PanePart;
  readonly #sum = new Float64Array(sumWidth(sumBins));
  readonly #squares = new Float64Array(sumWidth(squareBins));
  #count = 0;

  constructor(part: PanePart) {
    this.#part = part;
  }

  begin(): void {
    this.#count = 0;
    clearSum(this.#sum, 0, 1, sumBins);
    clearSum(this.#squares, 0, 1, squareBins);
  }

  own(_eventTimeMs: number, value: number): void {
    this.#count++;
    addToSum(this.#sum, 0, 1, sumBins, value);
    addSquareToSum(this.#squares, 0, 1, squareBins, value);
  }

  takeRows({ rows, rowStride }: PaneWalk, from: number, to: number): void {
    const offset = (1 + this.#part.column) * rowStride;
    for (let row = from; row < to; row++) {
      const value = rows[row + offset] ?? NaN;
      if (value === value) this.own(0, value);
    }
  }

  takePanes({ panes, paneStride }: PaneWalk, from: number, to: number): void {
    const { count, sum, squares } = this.#part;
    this.#count += totalOf(panes, from, to, (1 + count) * paneStride);
    for (let pane = from; pane < to; pane++) {
      mergeSum(this.#sum, sumBins, panes, pane + (1 + sum) * paneStride, paneStride);
      mergeSum(this.#squares, squareBins, panes, pane + (1 + squares) * paneStride, paneStride);
    }
  }

  answer(): number {
    if (this.#count < 2) return NaN;
    const sum = exactSum(termsOfSum(this.#sum, sumBins));
    const squares = exactSum(termsOfSum(this.#squares, squareBins));
    const answer = deviation.finish({ count: this.#count, sum, squares });
    return typeof answer === 'number' ? answer : NaN;
  }
}

/** The smallest or the largest value. */
class ExtremeOver implements PaneAggregator {
  readonly #column: number;
  readonly #part: number;
  readonly #sign: 1 | -1;
  #best = NaN;

  /** @param sign 1 for the largest, -1 for the smallest. */
  constructor(column: number, part: number, sign: 1 | -1) {
    this.#column = column;
    this.#part = part;
    this.#sign = sign;
  }

  begin(): void {
    this.#best = NaN;
  }

  own(_eventTimeMs: number, value: number): void {
    this.#best = value + 0;
  }

  takeRows({ rows, rowStride }: PaneWalk, from: number, to: number): void {
    this.#take(rows, from, to, (1 + this.#column) * rowStride);
  }

  takePanes({ panes, paneStride }: PaneWalk, from: number, to: number): void {
    this.#take(panes, from, to, (1 + this.#part) * paneStride);
  }

  answer(): number {
    return this.#best;
  }

  #take(chunk: Float64Array, from: number, to: number, offset: number): void {
    const sign = this.#sign;
    let best = this.#best;
    for (let i = from; i < to; i++) {
      const value = chunk[i + offset] ?? NaN;
      if (value === value && !(best * sign >= value * sign)) best = value + 0;
    }
    this.#best = best;
  }
}

/** The oldest or the newest value, or how long the newest is ago, in seconds. */
class EndOver implements PaneAggregator {
  readonly #column: number;
  readonly #part: number;
  readonly #finish: 'first' | 'last' | 'since';
  #timeMs = NaN;
  #value = NaN;

  constructor(column: number, part: number, finish: 'first' | 'last' | 'since') {
    this.#column = column;
    this.#part = part;
    this.#finish = finish;
  }

  begin(): void {
    this.#timeMs = NaN;
    this.#value = NaN;
  }

  own(eventTimeMs: number, value: number): void {
    this.#timeMs = eventTimeMs;
    this.#value = value;
  }

  takeRows({ rows, rowStride }: PaneWalk, from: number, to: number): void {
    const offset = (1 + this.#column) * rowStride;
    // From the newest to the oldest, as records of one event time lie in the order of their arrival.
    for (let row = to - 1; row >= from; row--) {
      const value = this.#column < 0 ? 1 : (rows[row + offset] ?? NaN);
      if (value === value) this.#take(rows[row] ?? 0, value);
    }
  }

  takePanes({ panes, paneStride }: PaneWalk, from: number, to: number): void {
    const offset = (1 + this.#part) * paneStride;
    for (let pane = to - 1; pane >= from; pane--) {
      const timeMs = panes[pane + offset] ?? NaN;
      if (timeMs === timeMs) this.#take(timeMs, panes[pane + offset + paneStride] ?? NaN);
    }
  }

  answer(eventTimeMs: number): number {
    return this.#finish === 'since' ? (eventTimeMs - this.#timeMs) / 1_000 : this.#value;
  }

  /** Of two records of one event time, the one that is taken later came earlier. */
  #take(timeMs: number, value: number): void {
    const isBetter = this.#finish === 'first' ? !(timeMs > this.#timeMs) : !(timeMs <= this.#timeMs);
    if (isBetter) this.own(timeMs, value);
  }
}

function exactSum(terms: readonly number[]): ExactSum {
  const sum = new ExactSum();
  for (const term of terms) sum.add(term);
  return sum;
}

function valuesIn(chunk: Float64Array, from: number, to: number, offset: number): number {
  let count = 0;
  for (let i = from + offset; i < to + offset; i++) if (chunk[i] === chunk[i]) count++;
  return count;
}

function totalOf(chunk: Float64Array, from: number, to: number, offset: number): number {
  let total = 0;
  for (let i = from + offset; i < to + offset; i++) total += chunk[i] ?? 0;
  return total;
}
