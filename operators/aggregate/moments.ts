import { numberOf, type Aggregator, type AggregateTraits } from './aggregator.ts';
import { ExactSum } from './exact-sum.ts';

/** How many values there were, their sum, and the sum of their squares where it is asked for. */
interface Moments {
  count: number;
  readonly sum: ExactSum;
  readonly squares: ExactSum;
}

/** Number of values. */
export const count: Aggregator<{ count: number }> = {
  traits: { reversal: 'reversible', memory: 'bounded', stateSize: '8 bytes', accuracy: 'exact' },
  create: () => ({ count: 0 }),
  update: (state) => void state.count++,
  retract: (state) => void state.count--,
  merge: (into, from) => void (into.count += from.count),
  finish: (state) => state.count,
  encode: (state, to) => to.f64(state.count),
  decode: (from) => ({ count: from.f64() }),
};

function moments(
  order: 1 | 2,
  stateSize: string,
  accuracy: string,
  finish: (state: Moments) => number,
): Aggregator<Moments> {
  const traits: AggregateTraits = { reversal: 'reversible', memory: 'bounded', stateSize, accuracy };
  const move = (state: Moments, value: number, sign: 1 | -1): void => {
    state.count += sign;
    state.sum.add(sign * value);
    if (order === 2) state.squares.addProduct(sign * value, value);
  };
  return {
    traits,
    create: () => ({ count: 0, sum: new ExactSum(), squares: new ExactSum() }),
    update: (state, value) => move(state, numberOf(value), 1),
    retract: (state, value) => move(state, numberOf(value), -1),
    merge: (into, from) => {
      into.count += from.count;
      into.sum.addSum(from.sum);
      into.squares.addSum(from.squares);
    },
    finish: (state) => {
      const answer = finish(state);
      return Number.isFinite(answer) ? answer : null;
    },
    encode: (state, to) => {
      to.f64(state.count);
      state.sum.encode(to);
      if (order === 2) state.squares.encode(to);
    },
    decode: (from) => ({
      count: from.f64(),
      sum: ExactSum.decode(from),
      squares: order === 2 ? ExactSum.decode(from) : new ExactSum(),
    }),
  };
}

/**
 * The sample variance, (n·Σx² − (Σx)²) / (n·(n − 1)), whose numerator is computed without rounding: what makes the textbook formula useless in
 * doubles, cancellation, does not happen. NaN for fewer than two values.
 */
function sampleVariance({ count: n, sum, squares }: Moments): number {
  if (n < 2) return NaN;
  const numerator = new ExactSum();
  for (const part of squares.parts) numerator.addProduct(n, part);
  for (const a of sum.parts) for (const b of sum.parts) numerator.addProduct(-a, b);
  return Math.max(0, numerator.value()) / (n * (n - 1));
}

const oneSum = 'usually 17 to 33 bytes, at most 329';
const twoSums = 'usually 34 to 60 bytes, at most 650';

/** The sum, rounded once; null for no values. */
export const sum: Aggregator<Moments> = moments(1, oneSum, 'exact, rounded once', (state) =>
  state.count === 0 ? NaN : state.sum.value(),
);

/** The mean, rounded twice; null for no values. */
export const average: Aggregator<Moments> = moments(
  1,
  oneSum,
  'within 1 unit in the last place',
  (state) => state.sum.value() / state.count,
);

/** The sample variance; null for fewer than two values. */
export const variance: Aggregator<Moments> = moments(2, twoSums, 'within 2 units in the last place', sampleVariance);

/** The sample standard deviation; null for fewer than two values. */
export const deviation: Aggregator<Moments> = moments(2, twoSums, 'within 2 units in the last place', (state) =>
  Math.sqrt(sampleVariance(state)),
);
