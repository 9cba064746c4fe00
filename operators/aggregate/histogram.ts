import { numberOf, type Aggregator } from './aggregator.ts';

/**
 * How many values fell between given boundaries, `[boundary, next)`, with everything below the first and from the last on at the ends. The answer is JSON:
 * `{"boundaries": […], "counts": […]}`, with one count more than boundaries. Null for no values.
 *
 * @param boundaries ascending.
 */
export function histogram(boundaries: readonly number[]): Aggregator<Float64Array> {
  const binOf = (value: number): number => {
    let low = 0;
    let high = boundaries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((boundaries[middle] ?? 0) <= value) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  const move = (counts: Float64Array, bin: number, by: number): void => {
    counts[bin] = (counts[bin] ?? 0) + by;
  };
  return {
    traits: {
      reversal: 'reversible',
      memory: 'bounded',
      stateSize: `${(boundaries.length + 1) * 8} bytes`,
      accuracy: 'exact',
    },
    create: () => new Float64Array(boundaries.length + 1),
    update: (state, value) => move(state, binOf(numberOf(value)), 1),
    retract: (state, value) => move(state, binOf(numberOf(value)), -1),
    merge: (into, from) => from.forEach((count, bin) => move(into, bin, count)),
    finish: (state) =>
      state.every((count) => count === 0) ? null : JSON.stringify({ boundaries, counts: [...state] }),
    encode: (state, to) => state.forEach((count) => to.f64(count)),
    decode: (from) => Float64Array.from({ length: boundaries.length + 1 }, () => from.f64()),
  };
}
