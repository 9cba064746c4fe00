import { compareValues, type Aggregator } from './aggregator.ts';
import type { AggregateValue } from './state-bytes.ts';

/** How many different values, counted exactly: the state holds each of them. Null for none. */
export const distinct: Aggregator<Set<AggregateValue>> = {
  traits: {
    reversal: 'irreversible',
    memory: 'unbounded',
    stateSize: '9 bytes, or 5 and the text, for each different value',
    accuracy: 'exact',
  },
  create: () => new Set(),
  update: (state, value) => void state.add(unsigned(value)),
  merge: (into, from) => {
    for (const value of from) into.add(value);
  },
  finish: (state) => (state.size === 0 ? null : state.size),
  encode: (state, to) => {
    to.u32(state.size);
    for (const value of [...state].sort(compareValues)) to.value(value);
  },
  decode: (from) => {
    const size = from.u32();
    return new Set(Array.from({ length: size }, () => from.value()));
  },
};

/** Zero has one sign: −0 is the same value. */
function unsigned(value: AggregateValue): AggregateValue {
  return value === 0 ? 0 : value;
}
