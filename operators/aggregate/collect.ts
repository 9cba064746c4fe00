import { isBefore, type Aggregator, type ValueTime } from './aggregator.ts';
import type { AggregateValue } from './state-bytes.ts';

interface Item extends ValueTime {
  readonly value: AggregateValue;
}

/**
 * The values themselves, in the total order: the earliest `limit` of them. The answer is a JSON list; null for no values.
 */
export function collect(limit: number): Aggregator<Item[]> {
  const insert = (state: Item[], item: Item): void => {
    let at = state.length;
    while (at > 0 && isBefore(item, state[at - 1] ?? item)) at--;
    if (at >= limit) return;
    state.splice(at, 0, item);
    if (state.length > limit) state.length = limit;
  };
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: `29 bytes, or 25 and the text, for each of at most ${limit} values`,
      accuracy: `exact for the earliest ${limit} values`,
    },
    create: () => [],
    update: (state, value, { eventTimeMs, partition, offset }) =>
      insert(state, { value, eventTimeMs, partition, offset }),
    merge: (into, from) => {
      for (const item of from) insert(into, item);
    },
    finish: (state) => (state.length === 0 ? null : JSON.stringify(state.map(({ value }) => value))),
    encode: (state, to) => {
      to.u32(state.length);
      for (const { value, eventTimeMs, partition, offset } of state) {
        to.value(value);
        to.f64(eventTimeMs);
        to.i32(partition);
        to.f64(offset);
      }
    },
    decode: (from) => {
      const size = from.u32();
      return Array.from({ length: size }, () => {
        const value = from.value();
        return { value, eventTimeMs: from.f64(), partition: from.i32(), offset: from.f64() };
      });
    },
  };
}
