import type { AggregateValue } from './state-bytes.ts';

const doubleBits = new Float64Array(1);
const doubleWords = new Uint32Array(doubleBits.buffer);

/** A 64-bit hash as two words; reused from call to call. */
export interface ValueHash {
  high: number;
  low: number;
}

/** murmur3's finaliser: every input bit reaches every output bit. */
function scramble(word: number): number {
  let mixed = word;
  mixed ^= mixed >>> 16;
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

/**
 * A 64-bit hash of a value, the same on every machine and in every version: it stands in stored sketches. Two independent 32-bit lanes, mixed into
 * each other at the end. A number and the text of it hash differently.
 */
export function hashValue(value: AggregateValue, into: ValueHash): void {
  let a = 0x9e3779b9;
  let b = 0x2545f491;
  if (typeof value === 'number') {
    doubleBits[0] = value === 0 ? 0 : value;
    const low = doubleWords[0] ?? 0;
    const high = doubleWords[1] ?? 0;
    a = scramble(Math.imul(a ^ low, 0xcc9e2d51) ^ high);
    b = scramble(Math.imul(b ^ high, 0x1b873593) ^ low);
  } else {
    for (let i = 0; i < value.length; i++) {
      const unit = value.charCodeAt(i);
      a = Math.imul(a ^ unit, 0x01000193);
      b = Math.imul(((b << 13) | (b >>> 19)) ^ unit, 0x5bd1e995);
    }
    a ^= value.length;
    b ^= Math.imul(value.length, 0x27d4eb2f);
  }
  into.high = scramble(a ^ scramble(b)) >>> 0;
  into.low = scramble(b ^ scramble(a ^ 0x165667b1)) >>> 0;
}
