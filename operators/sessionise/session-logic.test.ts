import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { DEGRADED, LATE, recordBatch, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { watermarksName } from '../keyed/keyed-entries.ts';
import { ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import { answersOverRestarts } from '../testing/over-restarts.ts';
import { stamped } from '../testing/stamped.ts';
import { describeSessions } from './describe-sessions.ts';
import { sessionFormat, SessionLogic, type SessioniseDefinition } from './session-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'shop', type: 'long', presence: 'required' },
]);

interface Item {
  readonly card: string | null;
  readonly t: number;
  readonly partition: number;
}

function batchOf(items: readonly Item[], delayMs: number): RecordBatch {
  const batch = recordBatch(schema, [utf8ColumnOf(items.map(({ card }) => card)), numberColumnOf(items.map(() => 7))], {
    partition: Int32Array.from(items, ({ partition }) => partition),
    offset: 0,
    eventTimesMs: Float64Array.from(items, ({ t }) => t),
  });
  return stamped(batch, delayMs);
}

const base: SessioniseDefinition = {
  operatorId: 's',
  key: ['card'],
  gapMs: 10,
  forgetMs: 30,
  delayMs: 5,
  closedBy: 'partition',
};

const open = (definition = base, state: 'empty' | 'stored' = 'empty'): SessionLogic =>
  new SessionLogic(definition, schema, { state });

/** What each record is answered, and whether it is late. */
function answersOf(batch: RecordBatch): unknown[] {
  return toRows(batch).map((row, i) => [
    row['session_id'],
    row['session_number'],
    row['session_start'],
    ((batch.flags[i] ?? 0) & LATE) !== 0,
  ]);
}

/** By the records of a key before each, one after the other; what the watermark has passed by `forgetMs` begins anew. */
function naive(items: readonly Item[], { gapMs, forgetMs, delayMs, closedBy }: SessioniseDefinition): unknown[] {
  const sessions = new Map<string, { number: number; start: number; newest: number; partition: number }>();
  const highest = new Map<number, number>();
  let leastMs = -Infinity;
  return items.map(({ card, t, partition }) => {
    let answer: unknown[] = [null, null, null, false];
    if (card !== null) {
      const name = closedBy === 'query' ? card : `${card} ${partition}`;
      const known = sessions.get(name);
      if (known !== undefined && known.start - t >= gapMs) answer = [null, null, null, true];
      else {
        const begins = known === undefined || t - known.newest >= gapMs;
        const session = {
          number: (known?.number ?? 0) + (begins ? 1 : 0),
          start: begins ? t : known.start,
          newest: Math.max(known?.newest ?? t, t),
          partition,
        };
        sessions.set(name, session);
        answer = [`${card}@${session.start}`, session.number, session.start, false];
      }
    }
    highest.set(partition, Math.max(highest.get(partition) ?? -Infinity, t));
    leastMs = Math.max(leastMs, Math.min(...highest.values()) - delayMs);
    for (const [name, session] of sessions) {
      const watermarkMs = closedBy === 'query' ? leastMs : (highest.get(session.partition) ?? -Infinity) - delayMs;
      if (watermarkMs >= session.newest + forgetMs) sessions.delete(name);
    }
    return answer;
  });
}

const streams = fc
  .array(
    fc.record({
      step: fc.oneof({ weight: 5, arbitrary: fc.integer({ min: -14, max: 9 }) }, fc.integer({ min: 9, max: 60 })),
      card: fc.oneof({ weight: 12, arbitrary: fc.constantFrom('a', 'b') }, fc.constant(null)),
      partition: fc.nat(1),
    }),
    { maxLength: 40 },
  )
  .map((steps) => {
    let t = 0;
    return steps.map(({ step, ...rest }): Item => ({ ...rest, t: (t += step) }));
  });
const definitions = fc
  .record({
    gapMs: fc.integer({ min: 1, max: 15 }),
    more: fc.integer({ min: 0, max: 30 }),
    delayMs: fc.constantFrom(0, 5, 15),
    closedBy: fc.constantFrom<SessioniseDefinition['closedBy']>('partition', 'query'),
  })
  .map(({ more, ...choice }): SessioniseDefinition => ({ ...base, ...choice, forgetMs: choice.gapMs + more }));

describe('sessions', () => {
  it('are what one would find by hand, at each record', () => {
    fc.assert(
      fc.property(definitions, streams, (definition, items) => {
        expect(answersOf(open(definition).apply(batchOf(items, definition.delayMs)))).toEqual(naive(items, definition));
      }),
      { numRuns: 1_000 },
    );
  });

  it('go on from their stored state as if nothing had happened, wherever they are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        definitions,
        streams,
        fc.array(fc.nat(40), { maxLength: 4 }),
        async (definition, items, cuts) => {
          const batch = batchOf(items, definition.delayMs);
          const got = await answersOverRestarts(batch, cuts, (state) => open(definition, state), answersOf);
          expect(got).toEqual(answersOf(open(definition).apply(batch)));
        },
      ),
      { numRuns: 500 },
    );
  });

  const at = (...times: number[]): Item[] => times.map((t) => ({ card: 'a', t, partition: 0 }));
  const numbersOf = (...times: number[]): unknown[] =>
    toRows(open({ ...base, forgetMs: 1_000 }).apply(batchOf(at(...times), 500))).map((row) => row['session_number']);

  it('begin exactly the gap after the newest record, and refuse what is the gap or more before their start', () => {
    expect(numbersOf(0, 9.9)).toEqual([1, 1]);
    expect(numbersOf(0, 10)).toEqual([1, 2]);
    expect(numbersOf(0, -9.9, -10)).toEqual([1, 1, null]);
    // An older record of the session does not move its end back.
    expect(numbersOf(0, 9, 3, 18)).toEqual([1, 1, 1, 1]);
  });

  it('flag a record of an earlier session late beside what it was flagged before, and no other', () => {
    const batch = batchOf([...at(0, -10), { card: null, t: 0, partition: 0 }], 500);
    batch.flags[1] = DEGRADED;
    const answered = open().apply(batch);
    expect([...answered.flags]).toEqual([0, DEGRADED | LATE, 0]);
    expect([...batch.flags]).toEqual([0, DEGRADED, 0]);
  });

  it('are named by the key’s parts and their start', () => {
    const named = { ...base, key: ['card', 'shop', 'card'] };
    const items = [{ card: 'é', t: 5, partition: 0 }, ...at(-7)];
    expect(answersOf(open(named).apply(batchOf(items, 50))).map((answer) => (answer as unknown[])[0])).toEqual([
      'é/7/é@5',
      'a/7/a@-7',
    ]);
  });

  it('are forgotten when the watermark has reached what was said', () => {
    const logic = open();
    logic.apply(batchOf(at(0), 5));
    const other = (t: number): Item => ({ card: 'b', t, partition: 0 });
    logic.apply(batchOf([other(34.9)], 5));
    expect(logic.keyCount).toBe(2);
    logic.takeChanges();
    logic.apply(batchOf([other(35)], 5));
    expect(logic.keyCount).toBe(1);
    expect(logic.takeChanges().filter(({ value }) => value === null)).toHaveLength(1);
    logic.apply(batchOf([other(36)], 5));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });

  it('must be remembered for as long as they may go on', () => {
    expect(() => open({ ...base, forgetMs: 9 })).toThrow('a session that may go on must be remembered');
    expect(open({ ...base, forgetMs: 10 }).keyCount).toBe(0);
  });

  it('add their fields to the record’s', () => {
    const { schema: answered } = open().apply(batchOf(at(0), 5));
    expect(answered.fields.map(({ name, type, presence }) => [name, type, presence])).toEqual([
      ['card', 'string', 'optional'],
      ['shop', 'long', 'required'],
      ['session_id', 'string', 'optional'],
      ['session_number', 'long', 'optional'],
      ['session_start', 'timestamp', 'optional'],
    ]);
  });
});

describe('the stored state of sessions', () => {
  const hex = ['01', ...[3, -5, 8].map((value) => Buffer.from(Float64Array.of(value).buffer).toString('hex'))].join('');
  const session = { number: 3, startMs: -5, newestMs: 8 };

  it('has the bytes that other versions have written, and is read back as it was', () => {
    expect(Buffer.from(sessionFormat.encode(session)).toString('hex')).toBe(hex);
    expect(sessionFormat.decode(Buffer.from(hex, 'hex'))).toEqual(session);
  });

  it('is refused by name where it is of another version', () => {
    expect(() => sessionFormat.decode(Uint8Array.of(2))).toThrow(
      expect.objectContaining({
        code: 'STATE_FORMAT',
        message: 'a stored session must have version 1; got 2: rebuild the state from the log',
      }),
    );
  });

  it('reads as a row for each key', () => {
    const describer = describeSessions(base);
    expect(describer).toMatchObject({
      operatorId: 's',
      kind: 'sessions',
      keyFields: ['card'],
      filedBy: 'inside',
      keepsMs: null,
      identity: '[10,30,"partition"]',
      layout: 'number, start, newest',
    });
    const key = Uint8Array.of(97, 0xff, 0, 0, 0, 2);
    expect(describer.rowsOf({ key, value: Buffer.from(hex, 'hex') })).toEqual([
      {
        key: Uint8Array.of(97),
        eventTimeMs: null,
        values: { partition: 2, session_number: 3, session_start: -5, newest: 8 },
      },
    ]);
    const value = new ScopedWatermarks('partition', 5).encode();
    expect(describer.rowsOf({ key: watermarksName, value })).toEqual([
      { key: null, eventTimeMs: null, values: { query: null } },
    ]);
  });
});
