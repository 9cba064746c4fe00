import { describe, expect, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { Schema } from '../../engine/record/schema.ts';
import {
  addData,
  checkAnswer,
  checkDeadLetters,
  checkLedger,
  forEveryCrashPoint,
  inMemoryQuery,
  testQuery,
  type QueryUnderTest,
} from '../../engine/testing/index.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { ProcessLogic } from './process-logic.ts';
import { meter, meterSchema } from './testing/meter.ts';

const schema = new Schema([...meterSchema.fields, { name: 'at', type: 'timestamp', presence: 'required' }]);

function meterQuery(): QueryUnderTest {
  return inMemoryQuery({
    name: 'meter',
    schema,
    eventTime: { field: 'at', delayMs: 20 },
    key: ['card'],
    openSection: (start, state) => {
      const rejected = new RejectedRecords('input');
      const logic = new ProcessLogic(meter(), schema, start, rejected);
      return { steps: [], emit: emitWith(logic, state), logics: [logic], rejected };
    },
  });
}

const rows = [
  { card: 'a', amount: 1, wanted: true, at: 1_000 },
  { card: 'b', amount: 7, wanted: true, at: 1_005 },
  // Sets a timer at 1018, which sets the next one 15 ms later, and so on.
  { card: 'a', amount: 2, wanted: null, at: 1_008 },
  { card: 'b', amount: 1, wanted: true, at: 1_060 },
  { card: 'a', amount: 9, wanted: true, at: 1_075 },
];

describe('a query with keyed state, timers and a time to live', () => {
  it('accounts for every record, and sends those that its function throws on to the dead letters, with their bytes', async () => {
    await testQuery(meterQuery(), [
      addData(rows),
      checkAnswer([
        { card: 'a', what: 'seen', count: 1, total: 1 },
        { card: 'b', what: 'seen', count: 1, total: 1 },
        { card: 'a', what: 'timer', count: 2, total: 3 },
        { card: 'a', what: 'timer', count: 2, total: 3 },
        { card: 'a', what: 'seen', count: 3, total: 12 },
        { card: 'a', what: 'timer', count: 3, total: 12 },
      ]),
      checkDeadLetters([{ stage: 'operator', code: 'AMOUNT_SEVEN', offset: 1, value: JSON.stringify(rows[1]) }]),
      checkLedger({ read: 5, scored: 4, deadLettered: 1 }),
    ]);
  });

  it('gives the same rows, dead letters and state wherever its process dies', async () => {
    const { points, runs } = await forEveryCrashPoint(meterQuery(), rows);
    expect(runs).toBe(points + 1);
    expect(points).toBeGreaterThan(20);
  });
});
