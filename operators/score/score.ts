import { numberColumn } from '../../engine/record/column.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import { columnOf, selectRows, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { Scorer } from '../../engine/model/scorer.ts';

/** One number that the model takes: the column it is read from, and what stands in for null; NaN where the model knows missing values itself. */
export interface ModelInput {
  readonly column: string;
  readonly whenNull: number;
}

/** How a query scores: made at plan time. */
export interface ScoreDefinition {
  readonly scorer: Scorer;
  /** In the model's order. */
  readonly inputs: readonly ModelInput[];
  /** A record is predicted positive when its probability is at least this. */
  readonly threshold: number;
  /** The schema of the records to score. */
  readonly schema: Schema;
  /** The source's topic, for dead letters. */
  readonly topic: string;
}

/** Records with `probability` and `prediction` (0 or 1) as further columns; the others are dead letters. */
export interface ScoredRecords {
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** The fields that scoring adds. */
export function scoredSchema(schema: Schema): Schema {
  return schema.with(
    { name: 'probability', type: 'double', presence: 'required' },
    { name: 'prediction', type: 'long', presence: 'required' },
  );
}

/**
 * Makes the scoring stage: ⑥ on a record's way. A model that gives NaN or infinity for a record has not scored it: that record becomes a dead letter
 * (`SCORE_NOT_FINITE`), never a prediction.
 */
export function score(definition: ScoreDefinition): (records: RecordBatch) => Promise<ScoredRecords> {
  const { scorer, inputs, threshold, topic } = definition;
  const schema = scoredSchema(definition.schema);
  return async (records) => {
    const matrix = matrixOf(records, inputs);
    const scores = await scorer.score(matrix, records.rowCount);
    const probability = new Float64Array(scores);
    const prediction = new Float64Array(scores.length);
    const finite: number[] = [];
    const deadLetters: DeadLetter[] = [];
    for (let row = 0; row < scores.length; row++) {
      const value = probability[row] ?? NaN;
      prediction[row] = value >= threshold ? 1 : 0;
      if (Number.isFinite(value)) finite.push(row);
      else deadLetters.push(deadLetterOf(records, row, topic));
    }
    const scored = withColumns(records, schema, [numberColumn(probability), numberColumn(prediction)]);
    return { records: deadLetters.length === 0 ? scored : selectRows(scored, Int32Array.from(finite)), deadLetters };
  };
}

function deadLetterOf(records: RecordBatch, row: number, topic: string): DeadLetter {
  return {
    topic,
    partition: records.partitions[row] ?? 0,
    offset: records.offsets[row] ?? 0,
    stage: 'score',
    code: 'SCORE_NOT_FINITE',
    message: 'the model must give a finite probability; it gave NaN or infinity for this record',
    value: null,
  };
}

/** The records' features as the model takes them: row-major float32, in the model's order. */
export function matrixOf(records: RecordBatch, inputs: readonly ModelInput[]): Float32Array {
  const width = inputs.length;
  const matrix = new Float32Array(records.rowCount * width);
  inputs.forEach(({ column: name, whenNull }, feature) => {
    const column = columnOf(records, name);
    const { valid } = column;
    const values = column.kind === 'number' ? column.values : null;
    for (let row = 0, at = feature; row < records.rowCount; row++, at += width) {
      matrix[at] = valid !== null && valid[row] === 0 ? whenNull : (values?.[row] ?? NaN);
    }
  });
  return matrix;
}
