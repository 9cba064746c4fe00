import { strict as assert } from 'node:assert';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { isValid, valueAt, type Column } from '../../engine/record/column.ts';
import type { FeatureColumn } from '../../features/feature-plan.ts';
import { modelValues } from '../../features/model-input.ts';

/** How far a value may be from the expected one: `1e-9 · max(1, |expected|)`; counts, being whole, are exact by that too. */
const relativeTolerance = 1e-9;

/** Differences that are kept in full; the others are only counted. */
const keptDifferences = 10;

/** One value that is not what was expected. */
export interface Difference {
  readonly key: string;
  readonly column: string;
  readonly expected: number | null;
  readonly got: number | null;
}

/** What a comparison found. */
export interface Comparison {
  /** Expected rows that were met. */
  readonly rows: number;
  readonly columns: number;
  readonly mismatches: number;
  /** Expected rows whose key never came. */
  readonly missing: number;
  /** The first few, for people. */
  readonly differences: readonly Difference[];
}

/**
 * Expected values by key, against which a replay is held: `collect` every batch of the file with the expected values first, then `compare` every batch of
 * the replay, then ask for the `result`. A null and a number differ; two nulls do not.
 */
export class ExpectedValues {
  readonly #keyColumn: string;
  readonly #columns: readonly FeatureColumn[];
  readonly #rowByKey = new Map<number | string, number>();
  readonly #values: number[][];
  readonly #met: boolean[] = [];
  readonly #differences: Difference[] = [];
  #rows = 0;
  #mismatches = 0;

  /**
   * @param keyColumn identifies a record in both files.
   * @param columns the features to compare, in the form that the model gets them (null where nothing is declared for null).
   */
  constructor(keyColumn: string, columns: readonly FeatureColumn[]) {
    this.#keyColumn = keyColumn;
    this.#columns = columns;
    this.#values = columns.map(() => []);
  }

  /** How many expected rows there are. */
  get size(): number {
    return this.#rowByKey.size;
  }

  /** Takes over some rows of the file with the expected values: the key's column, and the features' in the order of the constructor's. */
  collect(keys: Column, columns: readonly Column[]): void {
    const rowCount = keys.kind === 'number' ? keys.values.length : keys.offsets.length - 1;
    for (let row = 0; row < rowCount; row++) {
      const key = valueAt(keys, row);
      assert(key !== null, 'the key column must not be null');
      this.#rowByKey.set(key, this.#met.length);
      this.#met.push(false);
    }
    columns.forEach((column, index) => {
      const values = this.#values[index];
      for (let row = 0; row < rowCount; row++) values?.push(isValid(column, row) ? Number(valueAt(column, row)) : NaN);
    });
  }

  /** Holds a batch of the replay against what was collected; records that nothing is expected of are passed over. */
  compare(batch: RecordBatch): void {
    const keys = columnOf(batch, this.#keyColumn);
    const matches: { readonly row: number; readonly at: number; readonly key: number | string }[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const key = valueAt(keys, row);
      const at = key === null ? undefined : this.#rowByKey.get(key);
      if (key === null || at === undefined || this.#met[at] === true) continue;
      this.#met[at] = true;
      matches.push({ row, at, key });
    }
    this.#rows += matches.length;
    this.#columns.forEach((column, index) => {
      const expectedValues = this.#values[index] ?? [];
      const values = modelValues(batch, column);
      for (const { row, at, key } of matches) {
        const expected = expectedValues[at] ?? NaN;
        const got = values[row] ?? NaN;
        if (!agree(expected, got)) this.#record(key, column.name, expected, got);
      }
    });
  }

  /** What was found so far. */
  get result(): Comparison {
    return {
      rows: this.#rows,
      columns: this.#columns.length,
      mismatches: this.#mismatches,
      missing: this.#rowByKey.size - this.#rows,
      differences: this.#differences,
    };
  }

  #record(key: number | string, column: string, expected: number, got: number): void {
    this.#mismatches++;
    if (this.#differences.length >= keptDifferences) return;
    const orNull = (value: number): number | null => (Number.isNaN(value) ? null : value);
    this.#differences.push({ key: String(key), column, expected: orNull(expected), got: orNull(got) });
  }
}

function agree(expected: number, got: number): boolean {
  if (Number.isNaN(expected) || Number.isNaN(got)) return Number.isNaN(expected) && Number.isNaN(got);
  return Math.abs(expected - got) <= relativeTolerance * Math.max(1, Math.abs(expected));
}
