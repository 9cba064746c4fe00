import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { numberColumn, numberColumnOf, type Column } from '../../engine/record/column.ts';
import { columnOf, recordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { readParquetTable } from '../../engine/source/file/parquet-table.ts';
import type { FeatureColumn } from '../../features/feature-plan.ts';
import { modelColumns, modelValues } from '../../features/model-input.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { ExpectedValues, type Comparison } from '../../jobs/runtime/expected-values.ts';
import { handbookSource } from '../../jobs/runtime/handbook-features.ts';
import { replayFeatures } from '../../jobs/runtime/replay-features.ts';
import type { HandbookTransactions } from '../../simulation/handbook/transactions.ts';

const key = 'TRANSACTION_ID';
const publishedPath = join(
  process.env['SLUICE_SHARED'] ?? '../shared',
  'data/handbook/expected-features-days-0-59.parquet',
);

/** One message of the topic of answers. */
export interface Answer {
  readonly TRANSACTION_ID: number;
  readonly features: Readonly<Record<string, number | boolean | null>>;
}

/** Reads a message of the topic of answers. */
export function answerOf(value: Buffer): Answer {
  return JSON.parse(value.toString()) as Answer;
}

/** The features that every transaction must be answered with, against which messages of the answers' topic are held. */
export class ExpectedAnswers {
  readonly #columns: readonly FeatureColumn[];
  readonly #schema: Schema;
  readonly #values: ExpectedValues;

  private constructor(columns: readonly FeatureColumn[]) {
    this.#columns = columns;
    this.#schema = new Schema([
      { name: key, type: 'long', presence: 'required' },
      ...columns.map(({ name }): Field => ({ name, type: 'double', presence: 'optional' })),
    ]);
    this.#values = new ExpectedValues(key, columns);
  }

  /** The book's own values of the first so many transactions; `null` where the file is not there. */
  static async published(job: CheckedJob, count: number): Promise<ExpectedAnswers | null> {
    if (!existsSync(publishedPath)) return null;
    const expected = new ExpectedAnswers(modelColumns(job.features));
    for await (const [ids, ...values] of readParquetTable(publishedPath, expected.#schema)) {
      if (ids?.kind !== 'number') continue;
      // Ids are ranks by time.
      const rows = Array.from(ids.values.keys()).filter((row) => (ids.values[row] ?? count) < count);
      expected.#values.collect(
        pick(ids, rows),
        values.map((column) => pick(column, rows)),
      );
    }
    return expected;
  }

  /** What one process answers that reads the transactions in their order, without a broker or a store. */
  static async ofReplay(job: CheckedJob, transactions: HandbookTransactions): Promise<ExpectedAnswers> {
    const expected = new ExpectedAnswers(modelColumns(job.features));
    for await (const { records } of replayFeatures(job, { source: handbookSource(transactions), decoder: null })) {
      const values = expected.#columns.map((column) => numberColumn(modelValues(records, column)));
      expected.#values.collect(columnOf(records, key), values);
    }
    return expected;
  }

  /** What was found so far. */
  get result(): Comparison {
    return this.#values.result;
  }

  compare(answers: readonly Answer[]): void {
    const columns = [
      numberColumnOf(answers.map((answer) => answer[key])),
      ...this.#columns.map(({ name }) => numberColumnOf(answers.map(({ features }) => numberOf(features[name])))),
    ];
    const eventTimesMs = new Float64Array(answers.length);
    this.#values.compare(recordBatch(this.#schema, columns, { partition: 0, offset: 0, eventTimesMs }));
  }
}

function numberOf(value: number | boolean | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value);
}

function pick(column: Column, rows: readonly number[]): Column {
  if (column.kind !== 'number') throw new Error('the expected values must be numbers');
  const { values, valid } = column;
  return numberColumnOf(rows.map((row) => (valid === null || valid[row] === 1 ? values[row] : null)));
}
