import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readNumber } from './json-number.ts';

/** The number at the start of `text` and how many bytes it took, or `null`. */
function read(text: string): { value: number; length: number } | null {
  const bytes = new TextEncoder().encode(`xx${text}`);
  const out = new Float64Array(2);
  const after = readNumber(bytes, 2, bytes.length, out, 1);
  return after < 0 ? null : { value: out[1] ?? 0, length: after - 2 };
}

function parse(text: string): number | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'number' ? value : null;
  } catch {
    return null;
  }
}

describe('readNumber', () => {
  it('gives the bits that JSON.parse gives for the shortest text of any double', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const text = Object.is(value, -0) ? '-0' : String(value);
        expect(Object.is(read(text)?.value, parse(text.replace('e+', 'e')))).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });

  it('rounds numbers of 16 to 19 digits as JSON.parse does, half-way cases among them', () => {
    const halfWay = fc
      .tuple(fc.integer({ min: 0, max: 2 ** 31 }), fc.integer({ min: 20, max: 31 }), fc.integer({ min: -1, max: 1 }))
      .map(([upper, lower, step]) => {
        // A double's 53 bits and one more: exactly between two doubles, or one unit of the last place beside it.
        const bits = ((1n << 53n) + (BigInt(upper) << 21n) + (BigInt(lower) << 1n) + 1n) * 5n ** 3n;
        return `${String(bits + BigInt(step)).slice(0, -3)}.${String(bits + BigInt(step)).slice(-3)}`;
      });
    const digits = fc
      .tuple(fc.bigInt({ min: 10n ** 15n, max: 10n ** 19n }), fc.integer({ min: 0, max: 24 }))
      .map(([whole, places]) => {
        const text = String(whole).padStart(places + 1, '0');
        return places === 0 ? text : `${text.slice(0, -places)}.${text.slice(-places)}`;
      });
    fc.assert(
      fc.property(
        fc.oneof(digits, halfWay),
        fc.constantFrom('', '-'),
        fc.constantFrom('', 'e1', 'e-3', 'e5'),
        (text, sign, exponent) => {
          const number = `${sign}${text}${exponent}`;
          expect(read(number)).toEqual({ value: parse(number), length: number.length });
        },
      ),
      { numRuns: 20_000 },
    );
  });

  it('accepts exactly what JSON.parse accepts, to the bit, for anything made of the characters of numbers', () => {
    const piece = fc.constantFrom(
      '0',
      '1',
      '9',
      '00',
      '123456789',
      '9007199254740993',
      '.',
      '-',
      '+',
      'e',
      'E',
      '22',
      '-22',
      '308',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 7 }), (pieces) => {
        const text = pieces.join('');
        const expected = parse(text);
        const got = read(text);
        if (expected === null) expect(got === null || got.length < text.length).toBe(true);
        else expect([got?.length, Object.is(got?.value, expected)]).toEqual([text.length, true]);
      }),
      { numRuns: 5000 },
    );
  });

  it.each([
    '0',
    '-0',
    '0.0',
    '-0.0',
    '0e5',
    '0.1',
    '123.45',
    '1e22',
    '1e23',
    '1e-22',
    '1e-23',
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '9007199254740993e1',
    '90071992547409930e-1',
    '0.30000000000000004',
    '5e-324',
    '2.4703282292062327e-324',
    '1.7976931348623157e308',
    '1.7976931348623159e308',
    '1e400',
    '-1e400',
    '1e-400',
    '1e99999999999',
    '0.000000000000000000000000000001',
    '100000000000000000000000000000000',
    '123456789012345678901234567890',
    '8.5e-7',
    '1E5',
    '1e+5',
  ])('reads %s as JSON.parse does', (text) => {
    expect(read(text)).toEqual({ value: parse(text), length: text.length });
  });

  it('stops at the first byte that is not of the number', () => {
    expect(read('12,3')).toEqual({ value: 12, length: 2 });
    expect(read('01')).toEqual({ value: 0, length: 1 });
  });

  it.each(['', '-', '+1', '.5', '1.', '1.e3', '1e', '1e+', '-a', 'e1'])('refuses %j', (text) => {
    expect(read(text)).toBeNull();
  });
});
