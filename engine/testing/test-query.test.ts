import { describe, expect, it } from 'vitest';
import { cardTotals } from '../../tests/kit/card-totals.ts';
import { SluiceError } from '../error.ts';
import {
  addData,
  advanceClock,
  advanceWatermark,
  check,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  checkNewAnswer,
  crash,
  crashAt,
  expectFailure,
  restart,
  stop,
  type Action,
} from './action.ts';
import { near } from './compare-rows.ts';
import { testQuery } from './test-query.ts';

const noon = Date.UTC(2026, 10, 22, 12);
const minute = 60_000;
const payment = (id: string, card: string, minutes: number, amount: number): Record<string, unknown> => ({
  id,
  card,
  at: new Date(noon + minutes * minute).toISOString(),
  amount,
});

/** What a list of actions fails with. */
async function failureOf(actions: readonly Action[]): Promise<string> {
  try {
    await testQuery(cardTotals(), actions);
  } catch (error) {
    if (error instanceof SluiceError && error.code === 'TEST_FAILED') return error.message;
    throw error;
  }
  throw new Error('the test should have failed');
}

describe('the query test driver', () => {
  it('gives friendly rows to a real query and compares the friendly rows that come out', async () => {
    await testQuery(cardTotals(), [
      addData([payment('p1', 'a', 0, 10), payment('p2', 'a', 1, 20.5), payment('p3', 'b', 1, 5)]),
      checkAnswer([
        { id: 'p1', spent_1h: 10, late: false },
        { id: 'p2', spent_1h: near(30.5, 1e-9) },
        { id: 'p3', spent_1h: 5 },
      ]),
      addData([payment('p4', 'a', 60, 1), payment('p2', 'a', 1, 20.5)]),
      checkNewAnswer([{ id: 'p4', spent_1h: 21.5 }]),
      checkLedger({ read: 5, scored: 4, duplicate: 1 }),
    ]);
  });

  it('keeps what was committed and loses what was only in memory when the process dies', async () => {
    await testQuery(cardTotals({ bounds: { flushEveryMs: 1e9 } }), [
      addData([payment('p1', 'a', 0, 10)]),
      check('nothing is stored before the first flush', ({ storedKeys }) => expect(storedKeys.size).toBe(0)),
      addData([payment('p2', 'a', 1, 20)]),
      crash(),
      addData([payment('p3', 'a', 2, 30)]),
      checkAnswer([{ spent_1h: 10 }, { spent_1h: 30 }]),
      restart(),
      checkNewAnswer([{ spent_1h: 60 }]),
      check('the gap was replayed', ({ replayedRecords }) => expect(replayedRecords).toBeGreaterThan(0)),
      stop(),
      restart(),
      addData([payment('p4', 'a', 3, 40)]),
      checkNewAnswer([{ spent_1h: 100 }]),
    ]);
  });

  it.each(['begin', 'produce', 'send offsets', 'commit', 'write state', 'read state', 'poll', 'score'] as const)(
    'answers once and rightly when the process dies before, or after: %s',
    async (step) => {
      for (const when of ['before', 'after'] as const) {
        await testQuery(cardTotals({ bounds: { flushEveryMs: 0 } }), [
          addData([payment('p1', 'a', 0, 10)]),
          stop(),
          restart(),
          crashAt(step, when),
          addData([payment('p2', 'b', 1, 20), payment('p3', 'a', 2, 30)]),
          restart(),
          checkAnswer([{ spent_1h: 10 }, { spent_1h: 20 }, { spent_1h: 40 }]),
        ]);
      }
    },
  );

  it('flushes state by the virtual clock', async () => {
    const stored: number[] = [];
    const look = check('stored keys', ({ storedKeys }) => stored.push(storedKeys.get('card-totals') ?? 0));
    await testQuery(cardTotals({ bounds: { flushEveryMs: 3_600_000 } }), [
      addData([payment('p1', 'a', 0, 10)]),
      look,
      advanceClock(3_600_000),
      look,
    ]);
    // A topic that is quiet has its state written as soon as that is due.
    expect(stored).toEqual([0, 1]);
  });

  it('moves watermarks as a record would, without an answer, and a replay finds them again', async () => {
    await testQuery(cardTotals({ partitions: 2, bounds: { flushEveryMs: 1e12 } }), [
      addData([payment('p1', 'a', 0, 10)], { partition: 0 }),
      advanceWatermark(noon + 180 * minute),
      crash(),
      restart(),
      addData([payment('p2', 'a', 1, 10)], { partition: 0 }),
      checkNewAnswer([
        { id: 'p1', late: false },
        { id: 'p2', late: true },
      ]),
      check('the watermarks', ({ watermarksMs }) => {
        expect([...watermarksMs.values()]).toEqual([noon + 180 * minute, noon + 180 * minute]);
      }),
      checkLedger({ read: 2, scored: 1, late: 1, filtered: 0 }),
    ]);
  });

  it('guards the watermark against records from the future, where the test says when they were appended', async () => {
    await testQuery(cardTotals(), [
      addData([payment('p1', 'a', 600, 1)], { appendedAtMs: noon }),
      addData([payment('p2', 'a', 0, 1)], { appendedAtMs: noon }),
      checkAnswer([{ late: false }, { late: false }]),
    ]);
  });

  it('shows dead letters with their bytes', async () => {
    await testQuery(cardTotals(), [
      addData(['{"id": 1, broken', payment('p1', 'a', 0, 10), { id: 'p2', card: 'a', at: noon }]),
      checkDeadLetters([
        { code: 'JSON_MALFORMED', offset: 0, stage: 'decode', value: '{"id": 1, broken' },
        { code: 'FIELD_MISSING', offset: 2 },
      ]),
      checkLedger({ deadLettered: 2, scored: 1 }),
    ]);
  });

  it('expects failures by code and words, and goes on after a restart', async () => {
    const query = cardTotals();
    const failing = {
      ...query,
      open: (parts: Parameters<typeof query.open>[0]) => ({
        ...query.open(parts),
        encode: () => {
          throw new SluiceError('MODEL_FAILED', 'the model has no answer');
        },
      }),
    };
    await testQuery(failing, [
      addData([payment('p1', 'a', 0, 10)]),
      expectFailure({ code: 'MODEL_FAILED', message: 'no answer' }),
      restart(query),
      checkAnswer([{ spent_1h: 10 }]),
    ]);
    await expect(testQuery(failing, [addData([payment('p1', 'a', 0, 10)])])).rejects.toThrow('must not fail');
  });

  it('says in which action a test failed, and shows everything that there is to see', async () => {
    const message = await failureOf([
      addData([payment('p1', 'a', 0, 10), payment('p2', 'a', 1, 20)]),
      checkAnswer([{ id: 'p1' }, { id: 'p2', spent_1h: 31 }, { id: 'p3' }]),
      crash(),
    ]);
    const shown = [
      'ok addData 2 rows  {"id":"p1"',
      '=> checkAnswer 3 rows',
      '     crash',
      'row 2: spent_1h: expected 31, got 30',
      '- row 3: nothing came for {"id":"p3"}',
      'query card-totals: running, 1 batch, 0 replayed; clock 2026-11-22T12:01:00.000Z',
      'ledger: read 2, scored 2',
      'partition 0: 2 records, committed to 2, state at 0, watermark 2026-11-22T12:00:50.000Z',
      'state in the store:',
      'topic output: 2 rows',
      '"id":"p2"',
      'topic dead-letters: 0 rows',
    ];
    for (const text of shown) expect(message).toContain(text);
  });

  it('fails where rows come that nobody expects, a failure does not come, or an action cannot be taken', async () => {
    const data = addData([payment('p1', 'a', 0, 10)]);
    expect(await failureOf([data, checkAnswer([])])).toContain('+ not expected: {"late":false');
    expect(await failureOf([data, expectFailure('MODEL_FAILED')])).toContain('it has not failed');
    expect(await failureOf([data, restart()])).toContain('TEST_ACTION');
    expect(await failureOf([crash(), stop()])).toContain('restart() it first');
    expect(await failureOf([data, checkLedger({ late: 1 })])).toContain('ledger: late: expected 1, got 0');
    expect(await failureOf([addData([], { partition: 7 })])).toContain('one of the 1 of topic input');
  });
});
