import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numpyArgsort } from './numpy-argsort.ts';

/** SHA-256 of the order as little-endian 32-bit words, which is how numpy's orders were noted down. */
function fingerprint(keys: readonly number[]): string {
  const order = numpyArgsort(Float64Array.from(keys));
  return createHash('sha256').update(new Uint8Array(order.buffer)).digest('hex').slice(0, 16);
}

/** Musser's sequence that drives a median-of-three quicksort to quadratic time, with every eight neighbours made equal. */
function killerSequence(length: number): readonly number[] {
  const half = length / 2;
  const odd = Array.from({ length: half }, (_, i) => (i % 2 === 0 ? i + 1 : half + i));
  const even = Array.from({ length: half }, (_, i) => 2 * (i + 1));
  return [...odd, ...even].map((key) => Math.floor(key / 8));
}

describe('numpyArgsort', () => {
  // The fingerprints were made with numpy 1.24.4, argsort(kind='quicksort').
  it.each([
    [5, '9512dc0e92ba75a7'],
    [16, '4e39add20d41b5fc'],
    [17, '04af945d885f6345'],
    [100, '7a30f2f465de6987'],
    [5_000, '0cf3f34563f52969'],
    [200_000, '5d5e8df460798356'],
  ])("puts %i keys with many ties in numpy's order", (length, expected) => {
    expect(fingerprint(Array.from({ length }, (_, i) => (i * i * 7919 + i) % 97))).toBe(expected);
  });

  it.each([
    [4_096, 'a43dc0104944556e'],
    [100_000, 'fe9db4830f589729'],
  ])("falls back to numpy's heapsort where quicksort would go too deep, %i keys", (length, expected) => {
    expect(fingerprint(killerSequence(length))).toBe(expected);
  });

  it('sorts, and loses no position, whatever the keys', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 300 }), (keys) => {
        const order = [...numpyArgsort(Uint32Array.from(keys))];
        const sorted = order.map((position) => keys[position]);
        expect(sorted).toEqual([...keys].sort((a, b) => a - b));
        expect(order.sort((a, b) => a - b)).toEqual(keys.map((_, i) => i));
      }),
    );
  });
});
