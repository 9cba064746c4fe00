import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { numberColumnOf, valueAt } from '../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import type { OperatorUnderLaws } from './law-run.ts';
import { laws } from './laws.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
]);
const answered = schema.with({ name: 'answer', type: 'double', presence: 'optional' });
const streams = 200;
/** An operator that breaks a law is looked for until it is found: in few streams, as a rule, and the search ends there. */
const streamsToSearch = 20_000;

/** A way of answering a batch, with whatever it remembers from one to the next. */
type Answering = (batch: RecordBatch) => readonly number[];

/** An operator that answers so, and stores nothing. */
function operatorOf(
  makeAnswering: () => Answering,
  arrivalOrder: OperatorUnderLaws['arrivalOrder'],
): OperatorUnderLaws {
  return {
    schema,
    key: ['card'],
    delayMs: 20,
    arrivalOrder,
    open: () => {
      const answering = makeAnswering();
      const operator = map((batch: RecordBatch) => withColumns(batch, answered, [numberColumnOf(answering(batch))]));
      return { steps: [{ operator, fate: 'keeps' }], logics: [] };
    },
  };
}

const rowsOf = (batch: RecordBatch): number[] => Array.from({ length: batch.rowCount }, (_, row) => row);
const cardOf = (batch: RecordBatch, row: number): string => String(valueAt(columnOf(batch, 'card'), row));

/** For each law, an operator that breaks it. */
const breakers: Readonly<Record<string, OperatorUnderLaws>> = {
  'the size of batches changes no answer': operatorOf(
    () => (batch) => rowsOf(batch).map(() => batch.rowCount),
    'does not matter',
  ),
  'a crash and a replay change no answer': operatorOf(() => {
    const counts = new Map<string, number>();
    return (batch) =>
      rowsOf(batch).map((row) => {
        const count = (counts.get(cardOf(batch, row)) ?? 0) + 1;
        counts.set(cardOf(batch, row), count);
        return count;
      });
  }, 'matters within a key'),
  'a partition that goes quiet changes no answer of the others': operatorOf(() => {
    const partitions = new Set<number>();
    return (batch) =>
      rowsOf(batch).map((row) => {
        partitions.add(batch.partitions[row] ?? 0);
        return partitions.size;
      });
  }, 'does not matter'),
  'another order within the delay changes no answer': operatorOf(() => {
    let last = '';
    return (batch) =>
      rowsOf(batch).map((row) => {
        const isSame = last === cardOf(batch, row);
        last = cardOf(batch, row);
        return isSame ? 1 : 0;
      });
  }, 'matters within a key'),
  'other partitions of the same keys change no answer': operatorOf(
    () => (batch) => rowsOf(batch).map((row) => batch.partitions[row] ?? 0),
    'does not matter',
  ),
};

describe('the laws', () => {
  it('find an operator that waits for all partitions, those that are idle, too', async () => {
    const least = (): Answering => {
      const watermarks = new PartitionWatermarks();
      return (batch) => {
        watermarks.observe(batch);
        return rowsOf(batch).map(() => watermarks.minimumMs());
      };
    };
    const quiet = laws.find(({ name }) => name.includes('goes quiet'));
    const breaker = { ...operatorOf(least, 'does not matter'), waitsFor: 'all partitions' } as const;
    await expect(quiet?.hold(breaker, streamsToSearch)).rejects.toThrow('Property failed');
  });

  it.each(laws)('find an operator that breaks this one: $name', async ({ name, hold }) => {
    const breaker = breakers[name];
    if (breaker === undefined) throw new Error(`no operator breaks the law "${name}"`);
    await expect(hold(breaker, streamsToSearch)).rejects.toThrow('Property failed');
  });

  it.each(laws)('are kept by an operator that only looks at its record: $name', async ({ hold }) => {
    const amounts: Answering = (batch) =>
      rowsOf(batch).map((row) => Number(valueAt(columnOf(batch, 'amount'), row)) * 2);
    await hold(
      operatorOf(() => amounts, 'does not matter'),
      streams,
    );
  });
});
