import { describe, expect, it } from 'vitest';
import { watermarksName } from '../keyed/keyed-entries.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import { describePattern } from './describe-pattern.ts';
import type { PatternDefinition } from './pattern-definition.ts';
import { patternFormat } from './pattern-logic.ts';

const base: PatternDefinition = {
  operatorId: 'p',
  key: ['card'],
  withinMs: 20,
  delayMs: 5,
  closedBy: 'partition',
  errors: 'fail',
};

describe('the stored state of a pattern', () => {
  const firsts = [
    { eventTimeMs: 5, cells: [1.5, null, 'é'] },
    { eventTimeMs: -2, cells: [null, 'x', ''] },
  ];
  const f64 = (value: number): string => Buffer.from(Float64Array.of(value).buffer).toString('hex');
  const hex = [
    '01',
    '02000000',
    '03000000',
    f64(5),
    ['01', '00', f64(1.5)].join(''),
    '00',
    ['01', '01', '02000000', 'c3a9'].join(''),
    f64(-2),
    '00',
    ['01', '01', '01000000', '78'].join(''),
    ['01', '01', '00000000'].join(''),
  ].join('');

  it('has the bytes that other versions have written, and is read back as it was', () => {
    expect(Buffer.from(patternFormat.encode(firsts)).toString('hex')).toBe(hex);
    expect(patternFormat.decode(Buffer.from(hex, 'hex'))).toEqual(firsts);
    expect(patternFormat.decode(patternFormat.encode([]))).toEqual([]);
    const without = [{ eventTimeMs: 5, cells: [] }];
    expect(patternFormat.decode(patternFormat.encode(without))).toEqual(without);
  });

  it('is refused by name where it is of another version', () => {
    expect(() => patternFormat.decode(Uint8Array.of(3, 0))).toThrow(
      expect.objectContaining({
        code: 'STATE_FORMAT',
        message: 'stored beginnings of matches must have version 1; got 3: rebuild the state from the log',
      }),
    );
  });

  it('reads as a row for each first record', () => {
    const describer = describePattern(base, ['amount', 'place', 'note'], 'amount < 5');
    expect(describer).toMatchObject({
      operatorId: 'p',
      kind: 'pattern',
      keyFields: ['card'],
      filedBy: 'inside',
      keepsMs: null,
      identity: '[20,"partition"]',
      layout: '[["amount","place","note"],"amount < 5"]',
    });
    const key = Uint8Array.of(97, 0xff, 0, 0, 0, 2);
    expect(describer.rowsOf({ key, value: Buffer.from(hex, 'hex') })).toEqual([
      {
        key: Uint8Array.of(97),
        eventTimeMs: 5,
        values: { partition: 2, event_time: 5, amount: 1.5, place: null, note: 'é' },
      },
      {
        key: Uint8Array.of(97),
        eventTimeMs: -2,
        values: { partition: 2, event_time: -2, amount: null, place: 'x', note: '' },
      },
    ]);
    const value = new ScopedWatermarks('partition', 5).encode();
    expect(describer.rowsOf({ key: watermarksName, value })).toEqual([
      { key: null, eventTimeMs: null, values: { query: null } },
    ]);
  });
});
