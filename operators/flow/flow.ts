import { strict as assert } from 'node:assert';
import type { Column } from '../../engine/record/column.ts';
import { numberColumn, utf8Column } from '../../engine/record/column.ts';
import { MARK, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';

/**
 * What has become of a batch at one place of its way: rows that are on, records that were read or results made of them, and, between them, rows that are none (`MARK`), which say how far the
 * watermark is. Each row knows which row of the batch that was read brought it out, so that several ways of one batch can meet again in the order in which the batch was read.
 */
export interface Flow {
  readonly records: RecordBatch;
  /** For each row, the number of the row that was read; ascending. Below 0: what came of an idle partition, before the first row. */
  readonly causes: Int32Array;
}

/** A flow, with what became of the rows that were read and are in it no more. */
export interface CountedFlow extends Flow {
  /** Rows that an operator took in whose results are records of their own. */
  readonly taken: number;
  readonly filtered: number;
  readonly duplicate: number;
  /** The numbers of the rows that came too late for an operator, ascending. */
  readonly late: readonly number[];
  /** Results that an operator failed on, under the positions of the rows that brought them out. */
  readonly spoiled: readonly DeadLetter[];
}

/** A part of a query that takes in batches as they were read and gives what has become of them there. Built anew for each acquisition of a task. */
export interface FlowNode {
  readonly logics: readonly StatefulLogic[];
  /** Takes a batch in; called once for each, in order. */
  run(batch: RecordBatch): Promise<CountedFlow>;
}

/** Whether a row is no record, but says how far the watermark is. */
export function isMark({ flags }: RecordBatch, row: number): boolean {
  return ((flags[row] ?? 0) & MARK) !== 0;
}

/** The columns' values in a new order: at each place the row that is named there, or, below 0, nothing. Cost: one pass. */
export function spreadColumn(column: Column, rows: Int32Array): Column {
  const valid = new Uint8Array(rows.length);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? -1;
    valid[i] = row < 0 || (column.valid !== null && column.valid[row] !== 1) ? 0 : 1;
  }
  if (column.kind === 'number') {
    const values = new Float64Array(rows.length);
    for (let i = 0; i < rows.length; i++) if (valid[i] === 1) values[i] = column.values[rows[i] ?? 0] ?? 0;
    return numberColumn(values, valid);
  }
  const offsets = new Int32Array(rows.length + 1);
  let size = 0;
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? -1;
    if (valid[i] === 1) size += (column.offsets[row + 1] ?? 0) - (column.offsets[row] ?? 0);
    offsets[i + 1] = size;
  }
  const data = new Uint8Array(size);
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? -1;
    if (valid[i] === 1) data.set(column.data.subarray(column.offsets[row], column.offsets[row + 1]), offsets[i]);
  }
  return utf8Column(data, offsets, valid);
}

/**
 * Which row of its input brought each output out, where an operator gives outputs the position of the row that they come of, in the order of the rows. No two rows of the input have one position.
 *
 * @returns for each output the row's number; below 0, counted from the last, for one that an idle partition brought out.
 */
export function causesWithin(outputs: RecordBatch, input: RecordBatch): Int32Array {
  const causes = new Int32Array(outputs.rowCount);
  const idle = input.idle ?? [];
  let row = 0;
  for (let i = 0; i < outputs.rowCount; i++) {
    const [partition, offset] = [outputs.partitions[i], outputs.offsets[i]];
    const left = row === 0 ? idle.findIndex((each) => each.partition === partition && each.offset === offset) : -1;
    if (left >= 0 && (input.partitions[0] !== partition || input.offsets[0] !== offset)) {
      causes[i] = left - idle.length;
      continue;
    }
    while (row < input.rowCount && (input.partitions[row] !== partition || input.offsets[row] !== offset)) row++;
    causes[i] = row;
  }
  return causes;
}

/** What is told of a result that came too late for an operator behind the one that gave it: results are in no count of records, and none may be lost without a word. */
export function lateResult({ partitions, offsets }: RecordBatch, cause: number, operatorId: string): DeadLetter {
  return {
    topic: '',
    partition: partitions[cause] ?? 0,
    offset: offsets[cause] ?? 0,
    stage: 'operator',
    code: 'RESULT_LATE',
    message: `a result that this record brought out came too late for operator ${operatorId}, which has let go of its time`,
    value: null,
  };
}

/** Dead letters of results, under the positions of the rows that were read and brought them out. */
export function spoiledBy(
  letters: readonly DeadLetter[],
  { records, causes }: Flow,
  batch: RecordBatch,
): readonly DeadLetter[] {
  return letters.map((letter) => {
    const row = records.offsets.findIndex((offset, at) => {
      return offset === letter.offset && records.partitions[at] === letter.partition;
    });
    assert(row >= 0, 'what was rejected is a row of the flow');
    const cause = causes[row] ?? 0;
    return { ...letter, partition: batch.partitions[cause] ?? 0, offset: batch.offsets[cause] ?? 0 };
  });
}
