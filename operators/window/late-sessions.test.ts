import { describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { describeWindows } from './describe-windows.ts';
import type { WindowDefinition } from './window-definition.ts';
import { WindowLogic } from './window-logic.ts';

const schema = new Schema([{ name: 'card', type: 'string', presence: 'required' }]);
const definition: WindowDefinition = {
  operatorId: 'w',
  key: ['card'],
  window: { kind: 'session', gapMs: 10 },
  where: null,
  aggregates: [{ name: 'n', spec: { function: 'count' }, input: null, where: null }],
  outputMode: 'append',
  allowedLatenessMs: 5,
  lateness: 'wait',
  delayMs: 20,
  closedBy: 'partition',
};

function batchOf(...times: number[]): RecordBatch {
  return recordBatch(schema, [utf8ColumnOf(times.map(() => 'a'))], {
    partition: 0,
    offset: 0,
    eventTimesMs: Float64Array.from(times),
  });
}

describe('a record that comes late for sessions', () => {
  it('is late exactly when the session that it would begin is over, and belongs to one that is still there', () => {
    const fateOf = (...times: number[]): unknown => {
      const { taken, late } = new WindowLogic(definition, schema, { state: 'empty' }).emit(batchOf(...times));
      return [taken, [...late.offsets]];
    };
    // At 50 the watermark is at 30: over is what has ended at 25, ten after its last record.
    expect(fateOf(50, 16)).toEqual([2, []]);
    expect(fateOf(50, 15)).toEqual([1, [1]]);
    expect(fateOf(20, 50, 11)).toEqual([3, []]);
    expect(fateOf(20, 50, 10)).toEqual([2, [2]]);
  });

  it('makes one of several, with the records of all of them', () => {
    const logic = new WindowLogic(definition, schema, { state: 'empty' });
    logic.apply(batchOf(0, 1, 18, 19, 9));
    const describer = describeWindows(definition);
    const rows = logic
      .takeChanges()
      .flatMap(({ key, value }) => (value === null ? [] : describer.rowsOf({ key, value })));
    expect(rows.map(({ values }) => values).filter((values) => 'records' in values)).toEqual([
      { window_start: 0, window_end: 29, records: 5, partition: 0, phase: 'open', n: 5 },
    ]);
  });
});
