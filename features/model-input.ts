import { strict as assert } from 'node:assert';
import { columnOf, type RecordBatch } from '../engine/record/record-batch.ts';
import type { FeatureColumn, FeaturePlan } from './feature-plan.ts';

/**
 * What a model gets for one feature column of a batch, a number a row: the column's value, or, where it is null, the feature's declared
 * default, or else NaN ("missing"). Scoring, training data and `replay --expect` all read features through here, so that they agree.
 *
 * The array is the column's own where nothing has to be replaced, so it must not be changed.
 */
export function modelValues(batch: RecordBatch, column: FeatureColumn): Float64Array {
  const source = columnOf(batch, column.name);
  assert(source.kind === 'number', `a model reads numbers, and "${column.name}" is a string`);
  const { values, valid } = source;
  if (valid === null) return values;
  const filled = new Float64Array(batch.rowCount);
  const missing = column.default ?? NaN;
  for (let row = 0; row < filled.length; row++) filled[row] = valid[row] === 1 ? (values[row] ?? 0) : missing;
  return filled;
}

/**
 * The feature columns that a model can be given, in the order of their declaration: all but strings and instants. An instant tells a model when it was
 * trained, and nothing about what comes after; its distance from the record's own time is what it should be given.
 */
export function modelColumns(plan: FeaturePlan): readonly FeatureColumn[] {
  return plan.columns.filter(({ type }) => type !== 'string' && type !== 'timestamp');
}
