import type { Aggregator } from './aggregator.ts';
import { hashValue, type ValueHash } from './value-hash.ts';

/** The registers: few of them by number while most are empty, all of them in an array afterwards. */
interface Registers {
  sparse: Map<number, number> | null;
  dense: Uint8Array;
}

/** The base of the standard error, 1.04 / √registers. */
const errorOfOneRegister = 1.04;
const noRegisters = new Uint8Array(0);

/** How many bits of a hash choose the register, so that the standard error is at most `error`. */
function precisionFor(error: number): number {
  return Math.min(16, Math.max(4, Math.ceil(Math.log2((errorOfOneRegister / error) ** 2))));
}

/** ∑ of Ertl's estimator for registers that are full. */
function tau(share: number): number {
  if (share === 0 || share === 1) return 0;
  let x = share;
  let y = 1;
  let sum = 1 - x;
  for (let before = NaN; sum !== before;) {
    x = Math.sqrt(x);
    before = sum;
    y *= 0.5;
    sum -= (1 - x) ** 2 * y;
  }
  return sum / 3;
}

/** ∑ of Ertl's estimator for registers that are empty. */
function sigma(share: number): number {
  if (share === 1) return Infinity;
  let x = share;
  let y = 1;
  let sum = x;
  for (let before = NaN; sum !== before;) {
    x *= x;
    before = sum;
    sum += x * y;
    y += y;
  }
  return sum;
}

/**
 * How many different values, about: HyperLogLog (Flajolet, Fusy, Gandouet, Meunier, 2007) over 64-bit hashes, with the estimator of Ertl ("New cardinality
 * estimation algorithms for HyperLogLog sketches", 2017), which is unbiased from 0 on without tables. The registers are maxima, so the state does not depend on the order or the
 * grouping of what came in. Null for no values.
 *
 * @param error the standard error of the answer as a share of it, 0.005 to 0.3: two thirds of answers are within it, 19 of 20 within twice it.
 */
export function approximateDistinct(error: number): Aggregator<Registers> {
  const precision = precisionFor(error);
  const size = 2 ** precision;
  const rankBits = 64 - precision;
  const mostSparse = size / 8;
  const hash: ValueHash = { high: 0, low: 0 };
  const raise = (state: Registers, register: number, rank: number): void => {
    if (state.sparse === null) {
      if (rank > (state.dense[register] ?? 0)) state.dense[register] = rank;
      return;
    }
    if (rank > (state.sparse.get(register) ?? 0)) state.sparse.set(register, rank);
    if (state.sparse.size > mostSparse) {
      state.dense = new Uint8Array(size);
      for (const [at, value] of state.sparse) state.dense[at] = value;
      state.sparse = null;
    }
  };
  const ranks = (state: Registers): readonly (readonly [register: number, rank: number])[] =>
    state.sparse === null
      ? Array.from(state.dense, (rank, register) => [register, rank] as const)
      : [...state.sparse].sort(([a], [b]) => a - b);
  const percent = ((100 * errorOfOneRegister) / Math.sqrt(size)).toFixed(2);
  return {
    traits: {
      reversal: 'irreversible',
      memory: 'bounded',
      stateSize: `at most ${size + 1} bytes`,
      accuracy: `standard error ${percent} %`,
    },
    create: () => ({ sparse: new Map(), dense: noRegisters }),
    update: (state, value) => {
      hashValue(value, hash);
      const register = hash.high >>> (32 - precision);
      const rest = (hash.high << precision) >>> 0;
      const leading = rest === 0 ? 32 - precision + Math.clz32(hash.low) : Math.clz32(rest);
      raise(state, register, Math.min(leading, rankBits) + 1);
    },
    merge: (into, from) => {
      for (const [register, rank] of ranks(from)) if (rank > 0) raise(into, register, rank);
    },
    finish: (state) => {
      const counts = new Float64Array(rankBits + 2);
      let used = 0;
      for (const [, rank] of ranks(state)) {
        counts[rank] = (counts[rank] ?? 0) + 1;
        if (rank > 0) used++;
      }
      if (used === 0) return null;
      counts[0] = size - used;
      let sum = size * tau(1 - (counts[rankBits + 1] ?? 0) / size);
      for (let rank = rankBits; rank >= 1; rank--) sum = 0.5 * (sum + (counts[rank] ?? 0));
      sum += size * sigma((counts[0] ?? 0) / size);
      return Math.round((size * size) / (2 * Math.LN2 * sum));
    },
    encode: (state, to) => {
      to.u8(state.sparse === null ? 1 : 0);
      if (state.sparse === null) {
        to.raw(state.dense);
        return;
      }
      to.u32(state.sparse.size);
      for (const [register, rank] of ranks(state)) {
        to.u32(register);
        to.u8(rank);
      }
    },
    decode: (from) => {
      if (from.u8() === 1) return { sparse: null, dense: from.raw(size) };
      const entries = from.u32();
      return {
        sparse: new Map(Array.from({ length: entries }, () => [from.u32(), from.u8()] as const)),
        dense: noRegisters,
      };
    },
  };
}
