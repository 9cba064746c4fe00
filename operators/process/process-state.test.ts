import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { ProcessCall, type CallPlace } from './process-call.ts';
import { processSchema } from './process-definition.ts';
import { processFormat, type ProcessEntry } from './process-format.ts';
import { jsonState } from './state-codec.ts';

const f64 = (value: number): string => Buffer.from(Float64Array.of(value).buffer).toString('hex');

function refusalOf(run: () => unknown): SluiceError {
  try {
    run();
  } catch (error) {
    if (error instanceof SluiceError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

const full: ProcessEntry = {
  key: ['a', 7],
  bytes: Uint8Array.of(1, 2, 3),
  version: 9,
  expiresMs: 50,
  timersMs: [-4, 60],
};
const fullHex = [
  ['01', '02', '01', '01000000', '61', '00', f64(7)],
  ['02000000', f64(-4), f64(60), f64(50)],
  ['01', '09000000', '03000000', '010203'],
]
  .flat()
  .join('');
const bare: ProcessEntry = { key: ['a'], bytes: null, version: 0, expiresMs: Infinity, timersMs: [5] };
const bareHex = ['01', '01', '01', '01000000', '61', '01000000', f64(5), f64(Infinity), '00'].join('');

describe('the stored state of a key', () => {
  it.each([
    ['with state', full, fullHex],
    ['with timers alone', bare, bareHex],
  ])('has the bytes that other versions have written, and is read back as it was: %s', (_name, entry, hex) => {
    expect(Buffer.from(processFormat.encode(entry)).toString('hex')).toBe(hex);
    expect(processFormat.decode(Buffer.from(hex, 'hex'))).toEqual(entry);
  });

  it('is refused by name where it is of another version or cut off', () => {
    const bytes = processFormat.encode(full);
    for (const size of [0, 1, 5, 20, bytes.length - 1]) {
      expect(refusalOf(() => processFormat.decode(bytes.slice(0, size)))).toMatchObject({
        code: 'STATE_FORMAT',
        message:
          'the stored state of a key must have version 1 and be whole; got cut off: rebuild the state from the log',
        cause: { message: 'cut off' },
      });
    }
    bytes[0] = 4;
    expect(refusalOf(() => processFormat.decode(bytes)).message).toContain('got version 4');
    expect(() => processFormat.decode(null as unknown as Uint8Array)).toThrow(TypeError);
  });
});

describe('state as JSON', () => {
  const codec = jsonState<unknown>();
  const refusal = (state: unknown): string => {
    try {
      codec.encode(state);
    } catch (error) {
      return error instanceof TypeError ? error.message : String(error);
    }
    return 'kept';
  };

  it('is the text of the state', () => {
    const state = { count: 3, list: [1, 'é', true, null, { deep: [] }] };
    expect(new TextDecoder().decode(codec.encode(state))).toBe(JSON.stringify(state));
    expect(codec.decode(codec.encode(state), 1)).toEqual(state);
    expect(refusal(Object.assign(Object.create(null) as object, { a: 1 }))).toBe('kept');
    expect([refusal(null), refusal(''), refusal(false), refusal(0)]).toEqual(['kept', 'kept', 'kept', 'kept']);
  });

  it('says what cannot be kept and where, and no value', () => {
    expect(refusal(Number.NaN)).toBe('state must be finite; got another number');
    expect(refusal({ secret: [1, Infinity] })).toBe('state.…[] must be finite; got another number');
    const must = 'must be JSON: a number, text, boolean, null, list or object; got a';
    expect(refusal(new Map())).toBe(`state ${must} Map`);
    expect(refusal([new Date(0)])).toBe(`state[] ${must} Date`);
    expect(refusal({ a: undefined })).toBe(`state.… ${must} undefined`);
    expect(refusal(() => 1)).toBe(`state ${must} function`);
    expect(refusal(1n)).toBe(`state ${must} bigint`);
  });

  it('has version 1 unless it is told another, and refuses others by name', () => {
    expect([jsonState().version, jsonState({ version: 3 }).version]).toEqual([1, 3]);
    const upgrade = (earlier: unknown, version: number): unknown => [earlier, version];
    const third = jsonState<unknown>({ version: 3, upgrade });
    const bytes = codec.encode('old');
    expect([third.decode(bytes, 1), third.decode(bytes, 2), third.decode(bytes, 3)]).toEqual([
      ['old', 1],
      ['old', 2],
      'old',
    ]);
    expect(refusalOf(() => third.decode(bytes, 4))).toMatchObject({
      code: 'STATE_VERSION',
      message:
        'stored state must have version 3, or an earlier one that "upgrade" makes it of; got 4: give jsonState an upgrade, or rebuild the state from the log',
    });
    expect(refusalOf(() => jsonState({ version: 3 }).decode(bytes, 2)).code).toBe('STATE_VERSION');
  });

  it('is refused where its bytes are no text', () => {
    expect(() => codec.decode(Uint8Array.of(0x22, 0xff, 0x22), 1)).toThrow(TypeError);
  });
});

const outputs: readonly Field[] = [{ name: 'n', type: 'long', presence: 'required' }];
const atRecord: CallPlace = { eventTimeMs: 100, watermarkMs: 80, timerMs: null };
const entryOf = (change: Partial<ProcessEntry> = {}): ProcessEntry => {
  return { key: ['a'], bytes: null, version: 0, expiresMs: Infinity, timersMs: [], ...change };
};
const stored = (state: unknown): Uint8Array => jsonState<unknown>().encode(state);

function began(entry: ProcessEntry, place = atRecord, ttlMs: number | null = 30): ProcessCall<unknown> {
  const call = new ProcessCall(jsonState<unknown>({ version: 2, upgrade: (old) => ({ old }) }), outputs, ttlMs);
  call.begin(entry, place);
  return call;
}

describe('what a function does to its key', () => {
  it('is seen by itself at once, and by the key once it is applied', () => {
    const entry = entryOf({ bytes: stored(1), version: 2, expiresMs: 90, timersMs: [70] });
    const call = began(entry);
    expect([call.key, call.eventTimeMs, call.watermarkMs, call.state.get(), call.rows]).toEqual([
      ['a'],
      100,
      80,
      1,
      [],
    ]);
    call.state.set([2]);
    call.timers.set(50);
    call.emit({ n: 5 });
    expect([call.state.get(), call.rows, entry.timersMs, entry.bytes]).toEqual([[2], [[5]], [70], stored(1)]);
    expect(call.apply()).toBe('changed');
    expect(entry).toEqual({ key: ['a'], bytes: stored([2]), version: 2, expiresMs: 130, timersMs: [50, 70] });
    call.begin(entry, atRecord);
    expect([call.rows, call.apply()]).toEqual([[], 'as before']);
  });

  it('is nothing where it did nothing', () => {
    const entry = entryOf({ bytes: stored(1), version: 1, expiresMs: 90, timersMs: [70] });
    const call = began(entry);
    expect(call.state.get()).toEqual({ old: 1 });
    call.timers.set(70);
    expect(call.apply()).toBe('as before');
    expect(entry).toEqual({ key: ['a'], bytes: stored(1), version: 1, expiresMs: 90, timersMs: [70] });
  });

  it('clears the state and its expiry, and leaves the timers', () => {
    const entry = entryOf({ bytes: stored(1), version: 2, expiresMs: 90, timersMs: [70] });
    const call = began(entry);
    call.state.clear();
    expect(call.state.get()).toBeNull();
    expect(call.apply()).toBe('changed');
    expect(entry).toEqual({ key: ['a'], bytes: null, version: 2, expiresMs: Infinity, timersMs: [70] });
    expect(began(entryOf()).state.get()).toBeNull();
  });

  it('begins a life anew, which an older record does not shorten', () => {
    const expiryOf = (entry: ProcessEntry, ttlMs: number | null): number => {
      const call = began(entry, atRecord, ttlMs);
      call.state.set(1);
      call.apply();
      return entry.expiresMs;
    };
    const old = { bytes: stored(0), version: 2 };
    expect(expiryOf(entryOf({ ...old, expiresMs: 500 }), 30)).toBe(500);
    expect(expiryOf(entryOf({ ...old, expiresMs: 120 }), 30)).toBe(130);
    expect(expiryOf(entryOf({ ...old, expiresMs: 120 }), null)).toBe(Infinity);
    expect(expiryOf(entryOf({ expiresMs: Infinity }), 30)).toBe(130);
  });

  it('sets timers in order, each once, and takes them back', () => {
    const entry = entryOf({ timersMs: [5, 9] });
    const call = began(entry);
    for (const atMs of [10, -3, 9, 7]) call.timers.set(atMs);
    call.timers.delete(5);
    call.timers.delete(6);
    expect(call.apply()).toBe('changed');
    expect(entry.timersMs).toEqual([-3, 7, 9, 10]);
  });

  it('is without the timer that fires, behind which others must lie', () => {
    const entry = entryOf({ timersMs: [5, 9] });
    const call = began(entry, { eventTimeMs: 5, watermarkMs: 80, timerMs: 5 });
    expect(() => call.timers.set(5)).toThrow('a timer that a timer sets must be later than it');
    expect(() => call.timers.set(4)).toThrow(RangeError);
    call.timers.set(6);
    expect(call.apply()).toBe('changed');
    expect(entry.timersMs).toEqual([6, 9]);
    const last = entryOf({ timersMs: [5] });
    expect(began(last, { eventTimeMs: 5, watermarkMs: 80, timerMs: 5 }).apply()).toBe('changed');
    expect(last.timersMs).toEqual([]);
  });

  it('is refused where a timer is at no whole millisecond, or a row not as declared', () => {
    const call = began(entryOf());
    for (const atMs of [0.5, NaN, Infinity]) {
      expect(() => call.timers.set(atMs)).toThrow('a timer must be at whole milliseconds since the epoch');
    }
    expect(() => call.emit({ n: 'x' })).toThrow('field "n" must be a long; got string');
    expect(call.rows).toEqual([]);
  });
});

describe('the schema of what is given out', () => {
  it('is the key, which every row has, and the declared fields', () => {
    const input = new Schema([
      { name: 'shop', type: 'long', presence: 'optional' },
      { name: 'card', type: 'string', presence: 'optional' },
    ]);
    expect(processSchema({ key: ['card', 'shop'], outputs }, input).fields).toEqual([
      { name: 'card', type: 'string', presence: 'required' },
      { name: 'shop', type: 'long', presence: 'required' },
      { name: 'n', type: 'long', presence: 'required' },
    ]);
  });
});
