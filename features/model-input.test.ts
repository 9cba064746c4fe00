import { describe, expect, it } from 'vitest';
import { PlanDocument } from '../engine/plan/plan-document.ts';
import { numberColumnOf } from '../engine/record/column.ts';
import { recordBatch } from '../engine/record/record-batch.ts';
import { Schema } from '../engine/record/schema.ts';
import { compileFeatures } from './compile-features.ts';
import { modelColumns, modelValues } from './model-input.ts';

const schema = new Schema([{ name: 'x', type: 'double', presence: 'optional' }]);
const batchOf = (values: readonly (number | null)[]): ReturnType<typeof recordBatch> =>
  recordBatch(schema, [numberColumnOf(values)], {
    partition: 0,
    offset: 0,
    eventTimesMs: new Float64Array(values.length),
  });

describe('what a model gets', () => {
  it('is the default where the feature is null', () => {
    expect([...modelValues(batchOf([2, null, 0]), { name: 'x', type: 'double', default: 1 })]).toEqual([2, 1, 0]);
  });

  it('is NaN where the feature is null and has no default', () => {
    expect([...modelValues(batchOf([2, null]), { name: 'x', type: 'double', default: null })]).toEqual([2, NaN]);
  });

  it('is the column itself where nothing is null', () => {
    const batch = batchOf([1, 2]);
    const [column] = batch.columns;
    expect(modelValues(batch, { name: 'x', type: 'double', default: 0 })).toBe(
      column?.kind === 'number' ? column.values : null,
    );
  });

  it('is no string and no instant', () => {
    const fields = new Schema([
      { name: 'at', type: 'timestamp', presence: 'required' },
      { name: 'card', type: 'string', presence: 'required' },
    ]);
    const text =
      'entity: card\nfeatures:\n  a: { count: true, over: 1d }\n  b: { last: card, over: 1d }\n  c: { first: at, over: 1d }\n  d: { expr: hour(at) > 6 }\n';
    const context = { schema: fields, eventTimeField: 'at', allowedLatenessMs: 0 };
    const { plan } = compileFeatures([new PlanDocument('f.yaml', text)], context);
    expect(plan === null ? [] : modelColumns(plan).map(({ name }) => name)).toEqual(['a', 'd']);
  });
});
