import { strict as assert } from 'node:assert';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { cellsOf, OutputRows } from '../row/output-rows.ts';
import type { Row } from '../row/row-view.ts';

/** How rows stand in a topic. */
export interface Arrival {
  /** Which partition a row is in; default: all in one. */
  readonly partitionOf?: (row: object) => number;
  /** The field that event times are read from; without it they are 0. */
  readonly eventTimeField?: string;
}

/**
 * Rows as one batch in their order, at the offsets that their partitions give them.
 *
 * @throws {TypeError} where a row is not of the schema's fields.
 */
export function arrivedRows(
  schema: Schema,
  rows: readonly object[],
  { partitionOf = () => 0, eventTimeField }: Arrival = {},
): RecordBatch {
  const offsets = new Map<number, number>();
  const time = eventTimeField === undefined ? -1 : schema.indexOf(eventTimeField);
  const outputs = new OutputRows(schema);
  for (const row of rows) {
    const partition = partitionOf(row);
    const offset = offsets.get(partition) ?? 0;
    offsets.set(partition, offset + 1);
    const cells = cellsOf(schema.fields, row as Row);
    const eventTimeMs = time < 0 ? 0 : cells[time];
    assert(typeof eventTimeMs === 'number', `the event time of row ${offset} must be there`);
    outputs.add(cells, { partition, offset, eventTimeMs, watermarkMs: -Infinity, flags: 0 });
  }
  return outputs.build();
}
