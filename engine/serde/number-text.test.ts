import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { NUMBER_TEXT_BYTES, writeNumber, writeWhole } from './number-text.ts';

function write(value: number): string {
  const out = new Uint8Array(NUMBER_TEXT_BYTES + 4).fill(0x23);
  const end = writeNumber(out, 2, value);
  expect([end - 2 <= NUMBER_TEXT_BYTES, out[1]]).toEqual([true, 0x23]);
  return new TextDecoder().decode(out.subarray(2, end));
}

/** What the engine itself writes, but for the sign of -0. */
function expected(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/** Doubles of every kind of bit pattern, not only those that are short to write. */
const anyDouble = fc
  .tuple(fc.nat(0xffffffff), fc.nat(0xffffffff))
  .map(([low, high]) => new Float64Array(Uint32Array.of(low, high).buffer)[0] ?? 0)
  .filter(Number.isFinite);

/** Doubles of everyday size with all their digits: what sums, means and ratios are made of. */
const everydayDouble = fc
  .tuple(fc.nat(0xffffffff), fc.nat(0xfffff), fc.integer({ min: -22, max: 54 }), fc.boolean())
  .map(
    ([low, high, exponent, negative]) => (1 + (high + low / 2 ** 32) / 2 ** 20) * 2 ** exponent * (negative ? -1 : 1),
  );

const fewDigits = fc
  .tuple(fc.integer(), fc.integer({ min: -20, max: 20 }))
  .map(([digits, exponent]) => Number(`${digits}e${exponent}`));
const manyDigits = fc
  .tuple(fc.maxSafeInteger(), fc.integer({ min: -22, max: 3 }))
  .map(([digits, exponent]) => Number(`${digits}e${exponent}`));

describe('writeNumber', () => {
  it('writes what the engine writes, digit for digit', () => {
    fc.assert(
      fc.property(
        fc.oneof(everydayDouble, anyDouble, fewDigits, manyDigits, fc.double({ noNaN: true, noDefaultInfinity: true })),
        (value) => {
          expect(write(value)).toBe(expected(value));
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('writes the neighbours of every power of ten and of two as the engine does', () => {
    const bits = new Float64Array(1);
    const words = new BigInt64Array(bits.buffer);
    for (let exponent = -30; exponent <= 60; exponent++) {
      for (const centre of [Number(`1e${exponent}`), 2 ** exponent, 5 * 2 ** exponent, Number(`5e${exponent}`)]) {
        for (let step = -3n; step <= 3n; step++) {
          bits[0] = centre;
          words[0] = (words[0] ?? 0n) + step;
          expect(write(bits[0])).toBe(expected(bits[0]));
        }
      }
    }
  });

  it.each([
    0,
    -0,
    0.1,
    0.1 + 0.2,
    1 / 3,
    2 / 3,
    5e-324,
    1e-6,
    1e-7,
    1.5e-7,
    1e21,
    1e20,
    123456789012345680000,
    2 ** 53 + 2,
    4.35,
    0.000001,
    999999.9999995,
    1.7976931348623157e308,
    899,
    400.5,
    2.24,
    -12.5,
  ])('writes %d', (value) => {
    expect(write(value)).toBe(expected(value));
    expect(Object.is(Number(write(value)), value)).toBe(true);
  });
});

describe('writeWhole', () => {
  it('writes every whole number up to 2^53', () => {
    const out = new Uint8Array(32);
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeNat(), fc.nat(), fc.nat(1000)), (value) => {
        expect(new TextDecoder().decode(out.subarray(1, writeWhole(out, 1, value)))).toBe(String(value));
      }),
      {
        numRuns: 3000,
        examples: [[1e8 - 1], [1e8], [2 ** 53 - 1], [2 ** 53], [1e15]],
      },
    );
  });
});
