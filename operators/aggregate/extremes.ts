import { isBefore, numberOf, type Aggregator, type ValueTime } from './aggregator.ts';
import type { AggregateValue } from './state-bytes.ts';

/** The best number so far; NaN before the first. */
interface Extreme {
  best: number;
}

function extreme(beats: (value: number, best: number) => boolean): Aggregator<Extreme> {
  const consider = (state: Extreme, value: number): void => {
    // Zero has one sign, so that −0 and 0 in another order give the same bits.
    if (state.best !== state.best || beats(value, state.best)) state.best = value === 0 ? 0 : value;
  };
  return {
    traits: { reversal: 'irreversible', memory: 'bounded', stateSize: '8 bytes', accuracy: 'exact' },
    create: () => ({ best: NaN }),
    update: (state, value) => consider(state, numberOf(value)),
    merge: (into, from) => {
      if (from.best === from.best) consider(into, from.best);
    },
    finish: ({ best }) => (best === best ? best : null),
    encode: ({ best }, to) => to.f64(best),
    decode: (from) => ({ best: from.f64() }),
  };
}

/** The smallest value; null for none. */
export const minimum: Aggregator<Extreme> = extreme((value, best) => value < best);

/** The largest value; null for none. */
export const maximum: Aggregator<Extreme> = extreme((value, best) => value > best);

/** The chosen value and where it stands; `value` is null before the first. */
interface Placed {
  value: AggregateValue | null;
  time: ValueTime;
}

function placed(wins: (time: ValueTime, over: ValueTime) => boolean): Aggregator<Placed> {
  const consider = (state: Placed, value: AggregateValue, time: ValueTime): void => {
    if (state.value !== null && !wins(time, state.time)) return;
    state.value = value;
    state.time = { eventTimeMs: time.eventTimeMs, partition: time.partition, offset: time.offset };
  };
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: '30 bytes, or 26 and the text',
      accuracy: 'exact',
    },
    create: () => ({ value: null, time: { eventTimeMs: 0, partition: 0, offset: 0 } }),
    update: consider,
    merge: (into, from) => {
      if (from.value !== null) consider(into, from.value, from.time);
    },
    finish: ({ value }) => value,
    encode: ({ value, time }, to) => {
      to.u8(value === null ? 0 : 1);
      if (value === null) return;
      to.value(value);
      to.f64(time.eventTimeMs);
      to.i32(time.partition);
      to.f64(time.offset);
    },
    decode: (from) => {
      if (from.u8() === 0) return { value: null, time: { eventTimeMs: 0, partition: 0, offset: 0 } };
      const value = from.value();
      return { value, time: { eventTimeMs: from.f64(), partition: from.i32(), offset: from.f64() } };
    },
  };
}

/** The value that stands first in the total order: of the earliest event time, ties by position. */
export const first: Aggregator<Placed> = placed((time, over) => isBefore(time, over));

/** The value that stands last in the total order. */
export const last: Aggregator<Placed> = placed((time, over) => isBefore(over, time));
