import { describe, expect, it } from 'vitest';
import type { Scorer } from '../../engine/model/scorer.ts';
import { numberColumnOf } from '../../engine/record/column.ts';
import { recordBatch, toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { score } from './score.ts';

const schema = new Schema([
  { name: 'a', type: 'double', presence: 'optional' },
  { name: 'b', type: 'double', presence: 'optional' },
]);

/** The mean of the features: NaN as soon as one is. */
const meanScorer: Scorer = {
  score: (matrix, rowCount) => {
    const width = matrix.length / rowCount;
    const means = Array.from({ length: rowCount }, (_, row) => {
      return matrix.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0) / width;
    });
    return Promise.resolve(Float32Array.from(means));
  },
  [Symbol.asyncDispose]: () => Promise.resolve(),
};

describe('scoring', () => {
  it('gives features in the model order, puts defaults for null, and makes dead letters of scores that are no numbers', async () => {
    const batch = recordBatch(schema, [numberColumnOf([1, null, 0.25, 0]), numberColumnOf([1, 0.5, null, 0.25])], {
      partition: 3,
      offset: 10,
      eventTimesMs: Float64Array.of(1, 2, 3, 4),
    });
    const inputs = [
      { column: 'b', whenNull: NaN },
      { column: 'a', whenNull: 0.5 },
    ];
    const { records, deadLetters } = await score({ scorer: meanScorer, inputs, threshold: 0.5, schema, topic: 't' })(
      batch,
    );
    expect(toRows(records)).toEqual([
      { a: 1, b: 1, probability: 1, prediction: 1 },
      { a: null, b: 0.5, probability: 0.5, prediction: 1 },
      { a: 0, b: 0.25, probability: 0.125, prediction: 0 },
    ]);
    expect(deadLetters).toMatchObject([
      { topic: 't', partition: 3, offset: 12, stage: 'score', code: 'SCORE_NOT_FINITE' },
    ]);
  });
});
