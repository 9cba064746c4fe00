import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isUtf8, writeCodePoint } from './utf8.ts';

function decodes(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

describe('isUtf8', () => {
  it('agrees with a fatal TextDecoder on arbitrary bytes', () => {
    const nearUtf8 = fc.constantFrom(
      0x00,
      0x41,
      0x7f,
      0x80,
      0x8f,
      0x90,
      0x9f,
      0xa0,
      0xbf,
      0xc0,
      0xc1,
      0xc2,
      0xdf,
      0xe0,
      0xe1,
      0xec,
      0xed,
      0xee,
      0xef,
      0xf0,
      0xf1,
      0xf4,
      0xf5,
      0xff,
    );
    fc.assert(
      fc.property(fc.array(nearUtf8, { maxLength: 6 }), (bytes) => {
        const data = Uint8Array.from([0xff, ...bytes, 0x80]);
        expect(isUtf8(data, 1, data.length - 1)).toBe(decodes(Uint8Array.from(bytes)));
      }),
      { numRuns: 20_000 },
    );
  });

  it('accepts all text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const bytes = new TextEncoder().encode(text);
        expect(isUtf8(bytes, 0, bytes.length)).toBe(true);
      }),
    );
  });
});

describe('writeCodePoint', () => {
  it('writes what TextEncoder writes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), (text) => {
        const out = new Uint8Array(8);
        const end = writeCodePoint(out, 2, text.codePointAt(0) ?? 0);
        expect(out.slice(2, end)).toEqual(new TextEncoder().encode(text));
      }),
      { numRuns: 2000 },
    );
  });
});
