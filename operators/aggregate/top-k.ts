import { compareValues, type Aggregator } from './aggregator.ts';
import type { AggregateValue } from './state-bytes.ts';

/** A counted value: it came at least `count − error` times and at most `count` times. */
interface Tally {
  count: number;
  error: number;
}

type Tallies = Map<AggregateValue, Tally>;

/**
 * The k most frequent values: Space-Saving (Metwally, Agrawal, El Abbadi, ICDT 2005), merged as Agarwal and others do ("Mergeable summaries", PODS 2012).
 * While there are no more than `capacity` different values, counts are exact and merging is in any order the same. Beyond it, the rarest makes room for a new
 * value, which takes over its count as possible error; every value that came more than n / capacity times is still found.
 *
 * The answer is JSON: `[{"value": …, "count": …, "error": …}]`, most frequent first, ties by value. Null for no values.
 */
export function topK(k: number, capacity: number): Aggregator<Tallies> {
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: `25 bytes, or 21 and the text, for each of at most ${capacity} values`,
      accuracy: `exact for up to ${capacity} different values; beyond, each count says by how much it may be too high`,
    },
    create: () => new Map(),
    update: (state, value) => {
      const known = state.get(value);
      if (known !== undefined) {
        known.count++;
        return;
      }
      const rarest = state.size < capacity ? null : rarestOf(state);
      if (rarest !== null) state.delete(rarest[0]);
      const error = rarest?.[1].count ?? 0;
      state.set(value, { count: error + 1, error });
    },
    merge: (into, from) => {
      // A full summary may have counted and forgotten a value that it does not name, as often as its rarest one.
      const unknownInto = into.size < capacity ? 0 : (rarestOf(into)?.[1].count ?? 0);
      const unknownFrom = from.size < capacity ? 0 : (rarestOf(from)?.[1].count ?? 0);
      for (const [value, tally] of into) {
        const other = from.get(value) ?? { count: unknownFrom, error: unknownFrom };
        tally.count += other.count;
        tally.error += other.error;
      }
      for (const [value, { count, error }] of from) {
        if (!into.has(value)) into.set(value, { count: count + unknownInto, error: error + unknownInto });
      }
      for (const [value] of ranked(into).slice(capacity)) into.delete(value);
    },
    finish: (state) => {
      if (state.size === 0) return null;
      return JSON.stringify(
        ranked(state)
          .slice(0, k)
          .map(([value, { count, error }]) => ({ value, count, error })),
      );
    },
    encode: (state, to) => {
      to.u32(state.size);
      for (const [value, { count, error }] of ranked(state)) {
        to.value(value);
        to.f64(count);
        to.f64(error);
      }
    },
    decode: (from) => {
      const size = from.u32();
      return new Map(
        Array.from({ length: size }, () => [from.value(), { count: from.f64(), error: from.f64() }] as const),
      );
    },
  };
}

function ranked(state: Tallies): readonly (readonly [AggregateValue, Tally])[] {
  return [...state].sort(([a, { count: ofA }], [b, { count: ofB }]) => ofB - ofA || compareValues(a, b));
}

/** The value with the smallest count, of several the greatest: so that what is forgotten does not depend on the order in memory. */
function rarestOf(state: Tallies): readonly [AggregateValue, Tally] | null {
  let rarest: readonly [AggregateValue, Tally] | null = null;
  for (const entry of state) {
    const [value, { count }] = entry;
    if (
      rarest === null ||
      count < rarest[1].count ||
      (count === rarest[1].count && compareValues(value, rarest[0]) > 0)
    ) {
      rarest = entry;
    }
  }
  return rarest;
}
