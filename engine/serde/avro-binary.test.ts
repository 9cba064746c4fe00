import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONG_BYTES, longDigits, MALFORMED, readLong, writeLong } from './avro-binary.ts';

/** The specification's variable-length zig-zag coding, in 64-bit arithmetic. */
function zigzag(value: bigint): Uint8Array {
  let rest = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  while (rest > 0x7fn) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}

const anyLong = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.maxSafeInteger().map(BigInt),
  fc.integer().map(BigInt),
  fc
    .tuple(fc.integer({ min: 0, max: 62 }), fc.integer({ min: -2, max: 2 }), fc.boolean())
    .map(([bits, step, negative]) => {
      const value = 2n ** BigInt(bits) + BigInt(step);
      return negative ? -value : value;
    }),
);

describe('readLong', () => {
  it('reads every 64-bit number, to the nearest double, and its digits to the last', () => {
    fc.assert(
      fc.property(anyLong, (value) => {
        const bytes = Uint8Array.from([7, ...zigzag(value), 9]);
        const out = new Float64Array(1);
        expect(readLong(bytes, 1, bytes.length, out, 0)).toBe(bytes.length - 1);
        expect(out[0]).toBe(Number(value));
        expect(longDigits(bytes, 1)).toBe(String(value));
      }),
      { numRuns: 5000 },
    );
  });

  it('refuses what is cut off or longer than 64 bits', () => {
    const out = new Float64Array(1);
    const read = (...bytes: number[]): number => readLong(Uint8Array.from(bytes), 0, bytes.length, out, 0);
    for (let length = 0; length < 10; length++) expect(read(...new Array<number>(length).fill(0xff))).toBe(MALFORMED);
    expect(read(...new Array<number>(9).fill(0xff), 1)).toBe(10);
    expect(read(...new Array<number>(9).fill(0xff), 2)).toBe(MALFORMED);
    expect(read(...new Array<number>(10).fill(0xff), 0)).toBe(MALFORMED);
  });
});

describe('writeLong', () => {
  it('writes what the specification says, and avsc too where it is exact', () => {
    const long = avro.Type.forSchema('long');
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer(), fc.integer({ min: -200, max: 200 })), (value) => {
        const out = new Uint8Array(LONG_BYTES + 1);
        const written = out.slice(1, writeLong(out, 1, value));
        expect(written).toEqual(zigzag(BigInt(value)));
        // Beyond 2^52 avsc rounds the sign bit away.
        if (Math.abs(value) < 2 ** 52) expect(written).toEqual(Uint8Array.from(long.toBuffer(value)));
      }),
      {
        numRuns: 5000,
        examples: [
          [0],
          [-1],
          [63],
          [64],
          [-64],
          [-65],
          [Number.MAX_SAFE_INTEGER],
          [Number.MIN_SAFE_INTEGER],
          [2 ** 37],
          [2 ** 38 - 1],
        ],
      },
    );
  });
});
