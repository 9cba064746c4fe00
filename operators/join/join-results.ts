import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { JoinValue } from './join-row.ts';
import { valuesColumn } from './values-column.ts';

/** The record that brings results out, and the watermark that they carry. */
export interface JoinCause {
  readonly partition: number;
  readonly offset: number;
  readonly watermarkMs: number;
}

/** One side of a result: a record's values, or nothing. */
export interface ResultSide {
  readonly timeMs: number;
  readonly values: readonly JoinValue[];
}

/** The results of a join, row by row, as they come out. */
export class JoinResults {
  readonly #schema: Schema;
  readonly #leftColumns: number;
  readonly #rightColumns: number;
  readonly #values: JoinValue[][];
  readonly #partitions: number[] = [];
  readonly #offsets: number[] = [];
  readonly #eventTimesMs: number[] = [];
  readonly #watermarksMs: number[] = [];
  readonly #flags: number[] = [];

  /** @param schema of the results; see `joinFields`. */
  constructor(schema: Schema, leftColumns: number, rightColumns: number) {
    this.#schema = schema;
    this.#leftColumns = leftColumns;
    this.#rightColumns = rightColumns;
    this.#values = schema.fields.map(() => []);
  }

  /** Adds a result. Its event time is that of the later record. */
  add(key: readonly JoinValue[], left: ResultSide | null, right: ResultSide | null, cause: JoinCause): void {
    const timeMs = Math.max(left?.timeMs ?? -Infinity, right?.timeMs ?? -Infinity);
    let column = 0;
    const push = (value: JoinValue): void => {
      this.#values[column++]?.push(value);
    };
    for (const value of key) push(value);
    push(timeMs);
    for (let at = 0; at < this.#leftColumns; at++) push(left?.values[at] ?? null);
    for (let at = 0; at < this.#rightColumns; at++) push(right?.values[at] ?? null);
    this.#place(timeMs, cause, 0);
  }

  /** Adds a row that is no result, with these flags: whoever reads on takes its watermark alone. */
  addMark(cause: JoinCause, flags: number): void {
    for (const values of this.#values) values.push(null);
    this.#place(cause.watermarkMs, cause, flags);
  }

  /** All results as a batch. Each has the position of the record that brought it out. */
  build(): RecordBatch {
    return {
      schema: this.#schema,
      rowCount: this.#partitions.length,
      columns: this.#schema.fields.map(({ type }, index) => valuesColumn(type, this.#values[index] ?? [])),
      partitions: Int32Array.from(this.#partitions),
      offsets: Float64Array.from(this.#offsets),
      eventTimesMs: Float64Array.from(this.#eventTimesMs),
      watermarksMs: Float64Array.from(this.#watermarksMs),
      flags: Uint8Array.from(this.#flags),
    };
  }

  #place(timeMs: number, { partition, offset, watermarkMs }: JoinCause, flags: number): void {
    this.#partitions.push(partition);
    this.#offsets.push(offset);
    this.#eventTimesMs.push(timeMs);
    this.#watermarksMs.push(watermarkMs);
    this.#flags.push(flags);
  }
}
