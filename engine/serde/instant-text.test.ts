import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInstant, writeInstant } from './instant-text.ts';

function read(text: string): number {
  const bytes = new TextEncoder().encode(`..${text}..`);
  return readInstant(bytes, 2, bytes.length - 2);
}

function write(instantMs: number): string {
  const bytes = new Uint8Array(40);
  const end = writeInstant(bytes, 3, instantMs);
  return new TextDecoder().decode(bytes.subarray(3, end));
}

const anyInstantMs = fc.integer({ min: -8.64e15, max: 8.64e15 });

describe('writeInstant', () => {
  it('writes what Date.prototype.toISOString writes, over the whole range of dates', () => {
    fc.assert(
      fc.property(anyInstantMs, (instantMs) => {
        expect(write(instantMs)).toBe(new Date(instantMs).toISOString());
      }),
      {
        numRuns: 2000,
        examples: [[-8.64e15], [8.64e15], [0], [-1], [951_782_400_000], [-62_167_219_200_000], [-62_167_219_200_001]],
      },
    );
  });
});

describe('readInstant', () => {
  it('reads back every instant of the years 0 to 9999, in any zone', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: Date.parse('0000-01-02T00:00:00Z'), max: Date.parse('9999-12-30T00:00:00Z') }),
        fc.integer({ min: -23 * 60 - 59, max: 23 * 60 + 59 }),
        fc.constantFrom('T', 't', ' '),
        (instantMs, zoneMinutes, divider) => {
          const local = new Date(instantMs + zoneMinutes * 60_000).toISOString().replace('T', divider).slice(0, -1);
          const zone = Math.abs(zoneMinutes);
          const hours = String(Math.floor(zone / 60)).padStart(2, '0');
          const minutes = String(zone % 60).padStart(2, '0');
          const sign = zoneMinutes < 0 ? '-' : '+';
          expect(read(`${local}${sign}${hours}:${minutes}`)).toBe(instantMs);
          expect(read(`${local}${sign}${hours}${minutes}`)).toBe(instantMs);
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('knows the days of every month of every year', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 9999 }),
        fc.integer({ min: 0, max: 13 }),
        fc.integer({ min: 0, max: 32 }),
        (year, month, day) => {
          const pad = (value: number, width: number): string => String(value).padStart(width, '0');
          const date = new Date(0);
          date.setUTCFullYear(year, month - 1, day);
          const real = date.getUTCMonth() === month - 1 && date.getUTCDate() === day && month > 0;
          const got = read(`${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}T00:00:00Z`);
          if (real) expect(got).toBe(date.getTime());
          else expect(got).toBeNaN();
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([
    ['2026-11-22T09:30:00Z', '2026-11-22T09:30:00.000Z'],
    ['2026-11-22T09:30:00.5Z', '2026-11-22T09:30:00.500Z'],
    ['2026-11-22T09:30:00,05z', '2026-11-22T09:30:00.050Z'],
    ['2026-11-22T09:30:00.123456789Z', '2026-11-22T09:30:00.123Z'],
    ['2026-11-22T09:30:00.9999+01', '2026-11-22T08:30:00.999Z'],
    ['1969-12-31T23:59:59.9999Z', '1969-12-31T23:59:59.999Z'],
  ])('reads %s, cutting off what is finer than a millisecond', (text, iso) => {
    expect(read(text)).toBe(Date.parse(iso));
  });

  it.each([
    '',
    '2026',
    '2026-11-22',
    '2026-11-22T09:30:00',
    '2026-11-22T09:30Z',
    '2026-11-22T24:00:00Z',
    '2026-11-22T09:60:00Z',
    '2026-12-31T23:59:60Z',
    '2026-11-22T09:30:00.Z',
    '2026-11-22T09:30:00ZZ',
    '2026-11-22T09:30:00+1',
    '2026-11-22T09:30:00+01:0',
    '2026-11-22T09:30:00+24:00',
    '2026-11-22T09:30:00+01:60',
    '2026/11/22T09:30:00Z',
    '2026-11-22_09:30:00Z',
    '+002026-11-22T09:30:00Z',
    '2026-1a-22T09:30:00Z',
    '2026-11-22T09:30:00 Z',
    ' 2026-11-22T09:30:00Z',
    '1769000000000',
    '2026-11-22T09:30:00.12x',
  ])('refuses %j', (text) => {
    expect(read(text)).toBeNaN();
  });
});
