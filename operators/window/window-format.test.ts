import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { Schema } from '../../engine/record/schema.ts';
import { aggregatorOf } from '../aggregate/aggregate-spec.ts';
import { describeWindows } from './describe-windows.ts';
import type { OpenWindow } from './open-window.ts';
import { windowFields, type WindowDefinition } from './window-definition.ts';
import {
  readWatermarks,
  readWindow,
  watermarksName,
  windowName,
  WindowWriter,
  writeWatermarks,
} from './window-format.ts';

const aggregators = [aggregatorOf({ function: 'count' }), aggregatorOf({ function: 'max' })];

function openWindow(changes: Partial<OpenWindow> = {}): OpenWindow {
  const key = { slot: 0, bytes: Uint8Array.of(97), values: ['a', 7], windows: [] };
  const states = [{ count: 3 }, { best: 2 }];
  const rest = { scope: 2, startMs: -10, endMs: 5, records: 3, phase: 'open' as const };
  return { key, states, ...rest, dueMs: Infinity, queuedMs: Infinity, isLive: true, ...changes };
}

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const bytesOf = (window: OpenWindow): Uint8Array => new WindowWriter(aggregators).write(window);

function refusalOf(read: () => unknown): SluiceError {
  try {
    read();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('the bytes were read');
}

describe('a stored window', () => {
  it('is named by its key, a byte that no text has, its scope and its start', () => {
    expect(hexOf(windowName(openWindow()))).toBe(['61', 'ff', '00000002', '7ffffffffffffff6'].join(''));
    expect(hexOf(windowName(openWindow({ scope: -1, startMs: 1 })))).toBe(
      ['61', 'ff', 'ffffffff', '8000000000000001'].join(''),
    );
  });

  it('stands among the others of its key by its start, before the epoch too', () => {
    const names = [-3_600_000, -1, 0, 1, 1.7e12].map((startMs) => hexOf(windowName(openWindow({ startMs }))));
    expect(names.toSorted()).toEqual(names);
  });

  it('has the bytes that other versions have written', () => {
    const f64 = (value: number): string => hexOf(new Uint8Array(Float64Array.of(value).buffer));
    const head = ['01', '02', '00', '02000000', f64(-10), f64(5), f64(3)].join('');
    const values = ['02', '01', '01000000', '61', '00', f64(7)].join('');
    expect(hexOf(bytesOf(openWindow()))).toBe(head + values + f64(3) + f64(2));
    expect(hexOf(bytesOf(openWindow({ phase: 'fired' }))).slice(0, 6)).toBe('010201');
  });

  it.each(['open', 'fired'] as const)('reads back as it was: %s', (phase) => {
    const window = openWindow({ phase });
    expect(readWindow(windowName(window), bytesOf(window), aggregators)).toEqual({
      key: Uint8Array.of(97),
      values: ['a', 7],
      scope: 2,
      startMs: -10,
      endMs: 5,
      records: 3,
      states: [{ count: 3 }, { best: 2 }],
      phase,
    });
  });

  it('is refused by name where it is of another version or of other aggregates, cut off or too long', () => {
    const window = openWindow();
    const name = windowName(window);
    const bytes = bytesOf(window);
    const read = (changed: Uint8Array, by = aggregators) => refusalOf(() => readWindow(name, changed, by));
    const other = bytes.slice();
    other[0] = 2;
    expect(read(other)).toMatchObject({
      code: 'STATE_FORMAT',
      message:
        'stored windows must have version 1, 2 aggregates, and be whole; got version 2 with 2 aggregates: rebuild the state from the log',
      cause: { message: 'version 2 with 2 aggregates' },
    });
    expect(read(bytes, aggregators.slice(1)).message).toContain('got version 1 with 2 aggregates');
    expect(read(bytes.slice(0, -1)).message).toContain('got cut off');
    expect(read(Uint8Array.of(...bytes, 0)).message).toContain('got more than a window');
  });

  it('does not hide what is wrong with an aggregate', () => {
    const broken = aggregatorOf({ function: 'count' });
    const failing = [broken, { ...broken, decode: () => expect.fail('our bug') }];
    const window = openWindow();
    expect(() => readWindow(windowName(window), bytesOf(window), failing)).toThrow('our bug');
  });
});

describe('the stored watermarks of windows', () => {
  const seen = [
    { partition: -1, watermarkMs: 5 },
    { partition: 3, watermarkMs: -Infinity },
  ];

  it('read back as they were', () => {
    expect(readWatermarks(writeWatermarks(seen))).toEqual(seen);
    expect(hexOf(watermarksName)).toBe('ff');
  });

  it('are refused by name where they are of another version or cut off', () => {
    const bytes = writeWatermarks(seen);
    expect(refusalOf(() => readWatermarks(bytes.slice(0, -1)))).toMatchObject({ code: 'STATE_FORMAT' });
    bytes[0] = 9;
    expect(refusalOf(() => readWatermarks(bytes))).toMatchObject({
      code: 'STATE_FORMAT',
      cause: { message: 'version 9' },
    });
  });
});

const definition: WindowDefinition = {
  operatorId: 'w',
  key: ['card', 'terminal'],
  window: { kind: 'tumbling', sizeMs: 15, startMs: 5 },
  where: 'wanted',
  aggregates: [
    { name: 'n', spec: { function: 'count' }, input: null, where: null },
    { name: 'most', spec: { function: 'max' }, input: 'amount', where: 'large' },
  ],
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 3,
  closedBy: 'partition',
};

describe('windows, read as rows', () => {
  it('say whose they are, and what may not change under their name', () => {
    const describer = describeWindows(definition, 'large is amount > 5');
    expect(describer).toMatchObject({
      operatorId: 'w',
      kind: 'window',
      keyFields: ['card', 'terminal'],
      filedBy: 'inside',
      keepsMs: null,
      identity: JSON.stringify([definition.window, 'append', 'partition']),
      layout: JSON.stringify([
        'wanted',
        [
          ['n', { function: 'count' }, null, null],
          ['most', { function: 'max' }, 'amount', 'large'],
        ],
        'wait',
        'large is amount > 5',
      ]),
    });
    expect(describeWindows(definition).layout).toMatch(/"wait",""\]$/);
  });

  it('are one row for each, with its aggregates as they stand', () => {
    const row = (window: OpenWindow) =>
      describeWindows(definition).rowsOf({ key: windowName(window), value: bytesOf(window) });
    const values = { window_start: -10, window_end: 5, records: 3, phase: 'open', n: 3, most: 2 };
    expect(row(openWindow())).toEqual([
      { key: Uint8Array.of(97), eventTimeMs: null, values: { ...values, partition: 2 } },
    ]);
    expect(row(openWindow({ scope: -1, phase: 'fired' }))[0]?.values).toEqual({
      ...values,
      partition: null,
      phase: 'fired',
    });
    expect(row(openWindow({ scope: 0 }))[0]?.values['partition']).toBe(0);
  });

  it('have a row for the watermarks, null where there was no record', () => {
    const value = writeWatermarks([
      { partition: -1, watermarkMs: 5 },
      { partition: 0, watermarkMs: 7 },
      { partition: 3, watermarkMs: -Infinity },
    ]);
    expect(describeWindows(definition).rowsOf({ key: watermarksName, value })).toEqual([
      { key: null, eventTimeMs: null, values: { query: 5, 'partition 0': 7, 'partition 3': null } },
    ]);
  });
});

describe('the fields of windows’ results', () => {
  it('are the key, the window and the aggregates, by their types', () => {
    const schema = new Schema([
      { name: 'card', type: 'string', presence: 'optional' },
      { name: 'terminal', type: 'long', presence: 'required' },
      { name: 'amount', type: 'double', presence: 'optional' },
    ]);
    expect(windowFields(definition, schema)).toEqual([
      { name: 'card', type: 'string', presence: 'required' },
      { name: 'terminal', type: 'long', presence: 'required' },
      { name: 'window_start', type: 'timestamp', presence: 'required' },
      { name: 'window_end', type: 'timestamp', presence: 'required' },
      { name: 'n', type: 'long', presence: 'optional' },
      { name: 'most', type: 'double', presence: 'optional' },
    ]);
  });
});
