import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decimalNumber, decimalText } from './avro-decimal.ts';

/** Big-endian two's complement in `size` bytes. */
function bytesOf(value: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let rest = BigInt.asUintN(size * 8, value);
  for (let at = size - 1; at >= 0; at--) {
    bytes[at] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  return bytes;
}

const scale = fc.nat(30);

describe('a decimal of Avro', () => {
  it('is the double that its digits give in JSON, or none where digits would be lost', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), scale, fc.integer({ min: 8, max: 20 }), (value, places, size) => {
        const bytes = bytesOf(BigInt(value), size);
        expect(decimalNumber(bytes, 0, size, places)).toBe(JSON.parse(`${value}e-${places}`));
      }),
    );
    expect(decimalNumber(bytesOf(2n ** 53n, 8), 0, 8, 2)).toBeNaN();
    expect(decimalNumber(bytesOf(-(2n ** 100n), 16), 0, 16, 2)).toBeNaN();
  });

  it('has every digit as text', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 127n), max: 2n ** 127n - 1n }), scale, (value, places) => {
        const text = decimalText(bytesOf(value, 16), 0, 16, places) ?? '';
        expect(BigInt(text.replace('.', ''))).toBe(value);
        expect(text.includes('.') ? text.length - text.indexOf('.') - 1 : 0).toBe(places);
      }),
    );
    expect(decimalText(Uint8Array.of(0xff), 0, 1, 2)).toBe('-0.01');
    expect(decimalText(new Uint8Array(0), 0, 0, 0)).toBe('0');
  });

  it('is 0 when it has no bytes, whatever follows it', () => {
    expect(decimalNumber(Uint8Array.of(0xff), 0, 0, 2)).toBe(0);
    expect(decimalText(Uint8Array.of(0xff), 0, 0, 2)).toBe('0.00');
  });

  it('is nothing when it is absurdly long', () => {
    expect(decimalText(new Uint8Array(100), 0, 100, 2)).toBeNull();
    expect(decimalNumber(new Uint8Array(100), 0, 100, 2)).toBeNaN();
  });
});
