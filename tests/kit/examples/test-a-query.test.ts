import { describe, it } from 'vitest';
import {
  addData,
  advanceClock,
  advanceWatermark,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  checkNewAnswer,
  crash,
  crashAt,
  expectFailure,
  near,
  restart,
  testQuery,
} from '../../../engine/testing/index.ts';
import { cardTotals } from '../card-totals.ts';

describe('a query in TypeScript', () => {
  it('answers every payment with what its card has spent in the last hour', async () => {
    await testQuery(cardTotals(), [
      addData([
        { id: 'p1', card: 'a', at: '2026-11-22T12:00:00Z', amount: 10.1 },
        { id: 'p2', card: 'a', at: '2026-11-22T12:30:00Z', amount: 20.2 },
        { id: 'p3', card: 'b', at: '2026-11-22T12:30:00Z', amount: 5 },
      ]),
      checkAnswer([
        { id: 'p1', spent_1h: 10.1 },
        { id: 'p2', spent_1h: near(30.3, 1e-9) },
        { id: 'p3', spent_1h: 5 },
      ]),
      // An hour after the first: it is no longer in the window, which is open on the left.
      addData([{ id: 'p4', card: 'a', at: '2026-11-22T13:00:00Z', amount: 1 }]),
      checkNewAnswer([{ id: 'p4', spent_1h: near(21.2, 1e-9) }]),
    ]);
  });

  it('loses and repeats nothing when its process dies', async () => {
    await testQuery(cardTotals(), [
      addData([{ id: 'p1', card: 'a', at: '2026-11-22T12:00:00Z', amount: 10 }]),
      crashAt('commit', 'after'),
      addData([{ id: 'p2', card: 'a', at: '2026-11-22T12:01:00Z', amount: 20 }]),
      // The process is dead now; what is appended meanwhile waits for it.
      addData([{ id: 'p3', card: 'a', at: '2026-11-22T12:02:00Z', amount: 30 }]),
      restart(),
      checkAnswer([{ spent_1h: 10 }, { spent_1h: 30 }, { spent_1h: 60 }]),
      crash(),
      restart(),
      checkNewAnswer([]),
    ]);
  });

  it('flags what comes too late, and keeps what it cannot read', async () => {
    await testQuery(cardTotals(), [
      addData([{ id: 'p1', card: 'a', at: '2026-11-22T12:00:00Z', amount: 10 }]),
      advanceWatermark(Date.UTC(2026, 10, 22, 15)),
      advanceClock(60_000),
      addData([{ id: 'p2', card: 'a', at: '2026-11-22T12:01:00Z', amount: 20 }, 'not JSON']),
      checkNewAnswer([
        { id: 'p1', late: false },
        { id: 'p2', late: true },
      ]),
      checkDeadLetters([{ stage: 'decode', code: 'JSON_MALFORMED', value: 'not JSON' }]),
      checkLedger({ read: 3, scored: 1, late: 1, deadLettered: 1 }),
    ]);
  });

  it('stops by name where its log was cut off behind its state', async () => {
    const query = cardTotals();
    const cutOff: typeof query = {
      ...query,
      open: (parts) => {
        const definition = query.open(parts);
        const ranges = (): ReturnType<typeof definition.source.ranges> =>
          Promise.resolve([{ partition: 0, startOffset: 7, endOffset: 9 }]);
        return { ...definition, source: { ...definition.source, ranges } };
      },
    };
    await testQuery(query, [
      addData([{ id: 'p1', card: 'a', at: '2026-11-22T12:00:00Z', amount: 10 }]),
      advanceClock(10_000),
      addData([{ id: 'p2', card: 'a', at: '2026-11-22T12:00:01Z', amount: 10 }]),
      crash(),
      restart(cutOff),
      expectFailure('LOG_TRUNCATED'),
    ]);
  });
});
