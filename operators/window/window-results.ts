import { strict as assert } from 'node:assert';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { Aggregator } from '../aggregate/aggregator.ts';
import type { AggregateValue } from '../aggregate/state-bytes.ts';
import type { OpenWindow } from './open-window.ts';

/** The record that brings results out, and the watermark at which it does. */
export interface Cause {
  readonly partition: number;
  readonly offset: number;
  readonly watermarkMs: number;
}

/** The results of one batch, row by row, as they come out. */
export class WindowResults {
  readonly #schema: Schema;
  readonly #aggregators: readonly Aggregator<unknown>[];
  readonly #values: (AggregateValue | null)[][];
  readonly #partitions: number[] = [];
  readonly #offsets: number[] = [];
  readonly #eventTimesMs: number[] = [];
  readonly #watermarksMs: number[] = [];

  /** @param schema of the results; see `windowFields`. */
  constructor(schema: Schema, aggregators: readonly Aggregator<unknown>[]) {
    this.#schema = schema;
    this.#aggregators = aggregators;
    this.#values = schema.fields.map(() => []);
  }

  /** Adds the result of a window as it stands now. Its event time is the last instant of the window. */
  add(window: OpenWindow, cause: Cause): void {
    const row = [
      ...window.key.values,
      window.startMs,
      window.endMs,
      ...this.#aggregators.map((aggregator, index) => aggregator.finish(window.states[index])),
    ];
    row.forEach((value, column) => this.#values[column]?.push(value));
    this.#partitions.push(cause.partition);
    this.#offsets.push(cause.offset);
    this.#eventTimesMs.push(window.endMs - 1);
    this.#watermarksMs.push(cause.watermarkMs);
  }

  /** All results as a batch. Each has the position of the record that brought it out. */
  build(): RecordBatch {
    const rowCount = this.#partitions.length;
    return {
      schema: this.#schema,
      rowCount,
      columns: this.#schema.fields.map(({ type }, index) => columnOf(type === 'string', this.#values[index] ?? [])),
      partitions: Int32Array.from(this.#partitions),
      offsets: Float64Array.from(this.#offsets),
      eventTimesMs: Float64Array.from(this.#eventTimesMs),
      watermarksMs: Float64Array.from(this.#watermarksMs),
      flags: new Uint8Array(rowCount),
    };
  }
}

function columnOf(isText: boolean, values: readonly (AggregateValue | null)[]): Column {
  if (isText) return utf8ColumnOf(values.map((value) => (value === null ? null : String(value))));
  return numberColumnOf(
    values.map((value) => {
      assert(typeof value !== 'string', 'a text cannot be in a column of numbers');
      return value;
    }),
  );
}
