import { strict as assert } from 'node:assert';
import { isValid, valueAt, type Column } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Aggregator } from '../aggregate/aggregator.ts';
import type { AggregateValue } from '../aggregate/state-bytes.ts';
import type { OpenWindow } from './open-window.ts';
import type { WindowDefinition } from './window-definition.ts';

/** An aggregate with the columns of the batch at hand. */
interface Input {
  readonly aggregator: Aggregator<unknown>;
  /** `null` for a count of records. */
  readonly column: Column | null;
  readonly where: Column | null;
  readonly carried: readonly Column[];
}

/** Feeds aggregates from the columns of a batch. */
export class WindowInputs {
  readonly #definition: WindowDefinition;
  readonly #aggregators: readonly Aggregator<unknown>[];
  #inputs: readonly Input[] = [];
  #where: Column | null = null;
  #batch: RecordBatch | null = null;
  /** Where the row at hand stands; one object for all rows, which aggregates copy. */
  readonly #time = { eventTimeMs: 0, partition: 0, offset: 0 };

  constructor(definition: WindowDefinition, aggregators: readonly Aggregator<unknown>[]) {
    this.#definition = definition;
    this.#aggregators = aggregators;
  }

  /** Takes up a batch. @returns the values of a row's key. */
  open(batch: RecordBatch): (row: number) => readonly AggregateValue[] {
    const { where, aggregates, key } = this.#definition;
    this.#batch = batch;
    this.#where = where === null ? null : columnOf(batch, where);
    this.#inputs = aggregates.map(({ input, where: condition, carried = [] }, index) => {
      const aggregator = this.#aggregators[index];
      assert(aggregator !== undefined);
      return {
        aggregator,
        column: input === null ? null : columnOf(batch, input),
        where: condition === null ? null : columnOf(batch, condition),
        carried: carried.map((name) => columnOf(batch, name)),
      };
    });
    const columns = key.map((name) => columnOf(batch, name));
    return (row) => columns.map((column) => valueAt(column, row) ?? '');
  }

  /** Lets the batch go. */
  close(): void {
    this.#batch = null;
    this.#where = null;
    this.#inputs = [];
  }

  /** Whether the definition's condition holds for a row. */
  isWanted(row: number): boolean {
    return this.#where === null || holds(this.#where, row);
  }

  /** Adds a row's values to a window's states; nulls, and rows for which an aggregate's own condition does not hold, take no part. */
  update(row: number, { states }: OpenWindow): void {
    const batch = this.#batch;
    assert(batch !== null, 'a batch must be open');
    const time = this.#time;
    time.eventTimeMs = batch.eventTimesMs[row] ?? 0;
    time.partition = batch.partitions[row] ?? 0;
    time.offset = batch.offsets[row] ?? 0;
    for (let index = 0; index < this.#inputs.length; index++) {
      const input = this.#inputs[index];
      if (input === undefined || (input.where !== null && !holds(input.where, row))) continue;
      const { aggregator, column, carried } = input;
      const value = column === null ? 1 : valueAt(column, row);
      if (value === null) continue;
      if (carried.length === 0) aggregator.update(states[index], value, time);
      else {
        const values = carried.map((each) => valueAt(each, row));
        aggregator.update(states[index], value, time, values);
      }
    }
  }
}

function holds(condition: Column, row: number): boolean {
  return condition.kind === 'number' && isValid(condition, row) && condition.values[row] === 1;
}
