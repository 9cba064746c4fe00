import type { WindowRows } from './windows.ts';

/**
 * The aggregates of one column over nested windows. Each walks the rows once, from the newest of the shortest window to the oldest of the
 * longest, and writes a result for every window at its boundary, so twenty windows over a column cost one walk of the longest.
 *
 * The result is a function of the rows in the window and their order alone: recomputed for every record, never carried from one
 * to the next. That is what makes it the same after any restart, and what keeps its accuracy for ever (semantics, "Rolling features").
 * A null result is NaN.
 *
 * @param columnOffset the distance from a row's time to its value in `rows.chunk`.
 * @param results one number a window is written from index 0 on.
 */
export type Aggregator = (rows: WindowRows, columnOffset: number, results: Float64Array) => void;

/** How many records: all of them, whatever their values. */
export const countRows: Aggregator = (rows, _columnOffset, results) => {
  const { high, lows } = rows;
  for (let w = 0; w < lows.length; w++) results[w] = high - (lows[w] ?? 0);
};

/** How many records whose value is not null. */
export const countValues: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  let count = 0;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low) {
      i--;
      const value = chunk[i + columnOffset] ?? NaN;
      if (value === value) count++;
    }
    results[w] = count;
  }
};

/** Writes sum or mean; Neumaier's compensated summation (ZAMM 54, 1974), so that cancelling amounts keep their digits. */
function compensated(finish: (sum: number, count: number) => number): Aggregator {
  return (rows, columnOffset, results) => {
    const { chunk, high, lows } = rows;
    let sum = 0;
    let compensation = 0;
    let count = 0;
    let i = high;
    for (let w = 0; w < lows.length; w++) {
      const low = lows[w] ?? 0;
      while (i > low) {
        i--;
        const value = chunk[i + columnOffset] ?? NaN;
        if (value !== value) continue;
        const next = sum + value;
        compensation += Math.abs(sum) >= Math.abs(value) ? sum - next + value : value - next + sum;
        sum = next;
        count++;
      }
      results[w] = count === 0 ? NaN : finish(sum + compensation, count);
    }
  };
}

/** The sum of the values; null without any. */
export const sum: Aggregator = compensated((total) => total);

/** The mean of the values; null without any. */
export const mean: Aggregator = compensated((total, count) => total / count);

/** The sample standard deviation (n − 1), by Welford's update (Technometrics 4, 1962); null for fewer than two values. */
export const sampleDeviation: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  let average = 0;
  let squares = 0;
  let count = 0;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low) {
      i--;
      const value = chunk[i + columnOffset] ?? NaN;
      if (value !== value) continue;
      count++;
      const delta = value - average;
      average += delta / count;
      squares += delta * (value - average);
    }
    results[w] = count < 2 ? NaN : Math.sqrt(squares / (count - 1));
  }
};

/** The smallest value; null without any. */
export const minimum: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  let best = NaN;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low) {
      i--;
      const value = chunk[i + columnOffset] ?? NaN;
      // Nothing is less than NaN, which is what there is at first.
      if (value < best || (best !== best && value === value)) best = value;
    }
    results[w] = best;
  }
};

/** The largest value; null without any. */
export const maximum: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  let best = NaN;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low) {
      i--;
      const value = chunk[i + columnOffset] ?? NaN;
      if (value > best || (best !== best && value === value)) best = value;
    }
    results[w] = best;
  }
};

/** The value of the newest record that has one; null without any. */
export const last: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  let found = NaN;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low && found !== found) {
      i--;
      found = chunk[i + columnOffset] ?? NaN;
    }
    results[w] = found;
  }
};

/** The value of the oldest record that has one; null without any. */
export const first: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows } = rows;
  for (let w = 0; w < lows.length; w++) {
    let found = NaN;
    for (let i = lows[w] ?? 0; i < high && found !== found; i++) found = chunk[i + columnOffset] ?? NaN;
    results[w] = found;
  }
};

/** Seconds from the newest record, of any values, to this one; null without any. */
export const sinceLastRow: Aggregator = (rows, _columnOffset, results) => {
  const { chunk, high, lows, eventTimeMs } = rows;
  for (let w = 0; w < lows.length; w++) {
    results[w] = high > (lows[w] ?? 0) ? (eventTimeMs - (chunk[high - 1] ?? 0)) / 1000 : NaN;
  }
};

/** Seconds from the newest record whose value is not null to this one; null without any. */
export const sinceLastValue: Aggregator = (rows, columnOffset, results) => {
  const { chunk, high, lows, eventTimeMs } = rows;
  let since = NaN;
  let i = high;
  for (let w = 0; w < lows.length; w++) {
    const low = lows[w] ?? 0;
    while (i > low && since !== since) {
      i--;
      const value = chunk[i + columnOffset] ?? NaN;
      if (value === value) since = (eventTimeMs - (chunk[i] ?? 0)) / 1000;
    }
    results[w] = since;
  }
};

/** The `n`-th newest value (from 1); null where there are fewer. */
export function nthNewest(n: number): Aggregator {
  return (rows, columnOffset, results) => {
    const { chunk, high, lows } = rows;
    let seen = 0;
    let found = NaN;
    let i = high;
    for (let w = 0; w < lows.length; w++) {
      const low = lows[w] ?? 0;
      while (i > low && seen < n) {
        i--;
        const value = chunk[i + columnOffset] ?? NaN;
        if (value === value && ++seen === n) found = value;
      }
      results[w] = found;
    }
  };
}

/** The sum of the values, each halved for every half-life that has passed since it, as of the window's end; null without any. */
export function decayedSum(halfLifeMs: number): Aggregator {
  return (rows, columnOffset, results) => {
    const { chunk, high, lows, endMs } = rows;
    let total = 0;
    let count = 0;
    let i = high;
    for (let w = 0; w < lows.length; w++) {
      const low = lows[w] ?? 0;
      while (i > low) {
        i--;
        const value = chunk[i + columnOffset] ?? NaN;
        if (value !== value) continue;
        total += value * 2 ** (((chunk[i] ?? 0) - endMs) / halfLifeMs);
        count++;
      }
      results[w] = count === 0 ? NaN : total;
    }
  };
}

/**
 * How many different values; null without any. The column holds dictionary codes; a code counts when its stamp is not this walk's, so nothing is cleared
 * between walks. One aggregator owns its stamps.
 */
export function distinctCodes(): Aggregator {
  let stamps = new Int32Array(1024);
  let walk = 0;
  return (rows, columnOffset, results) => {
    const { chunk, high, lows } = rows;
    if (++walk === 0x7fffffff) {
      stamps.fill(0);
      walk = 1;
    }
    let count = 0;
    let i = high;
    for (let w = 0; w < lows.length; w++) {
      const low = lows[w] ?? 0;
      while (i > low) {
        i--;
        const code = chunk[i + columnOffset] ?? NaN;
        if (code !== code) continue;
        if (code >= stamps.length) {
          const grown = new Int32Array(Math.max(stamps.length * 2, code + 1));
          grown.set(stamps);
          stamps = grown;
        }
        if (stamps[code] !== walk) {
          stamps[code] = walk;
          count++;
        }
      }
      results[w] = count === 0 ? NaN : count;
    }
  };
}
