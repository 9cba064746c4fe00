import { strict as assert } from 'node:assert';
import { isValid, numberColumn, utf8Column, type Column } from '../../record/column.ts';
import type { RecordBatch } from '../../record/record-batch.ts';

/** Batches of one schema as one, in their order. Cost: one copy. */
export function concatRecords(batches: readonly RecordBatch[]): RecordBatch {
  const [first] = batches;
  assert(first !== undefined, 'there must be a batch');
  if (batches.length === 1) return first;
  const rowCount = batches.reduce((sum, batch) => sum + batch.rowCount, 0);
  const joined = {
    partitions: new Int32Array(rowCount),
    offsets: new Float64Array(rowCount),
    eventTimesMs: new Float64Array(rowCount),
    watermarksMs: new Float64Array(rowCount),
    flags: new Uint8Array(rowCount),
  };
  let at = 0;
  for (const batch of batches) {
    joined.partitions.set(batch.partitions, at);
    joined.offsets.set(batch.offsets, at);
    joined.eventTimesMs.set(batch.eventTimesMs, at);
    joined.watermarksMs.set(batch.watermarksMs, at);
    joined.flags.set(batch.flags, at);
    at += batch.rowCount;
  }
  const columns = first.columns.map((_, index) => concatColumns(batches, index, rowCount));
  return { schema: first.schema, rowCount, columns, ...joined };
}

function concatColumns(batches: readonly RecordBatch[], index: number, rowCount: number): Column {
  const parts = batches.map(({ columns, rowCount: rows }) => {
    const column = columns[index];
    assert(column !== undefined, 'batches of one schema have its columns');
    return { column, rows };
  });
  let valid: Uint8Array | null = null;
  if (parts.some(({ column }) => column.valid !== null)) {
    valid = new Uint8Array(rowCount);
    let at = 0;
    for (const { column, rows } of parts) {
      for (let row = 0; row < rows; row++) valid[at + row] = isValid(column, row) ? 1 : 0;
      at += rows;
    }
  }
  if (parts[0]?.column.kind === 'number') {
    const values = new Float64Array(rowCount);
    let at = 0;
    for (const { column, rows } of parts) {
      assert(column.kind === 'number');
      values.set(column.values.subarray(0, rows), at);
      at += rows;
    }
    return numberColumn(values, valid);
  }
  const offsets = new Int32Array(rowCount + 1);
  const slabs: Uint8Array[] = [];
  let at = 0;
  let size = 0;
  for (const { column, rows } of parts) {
    assert(column.kind === 'utf8');
    const [from, to] = [column.offsets[0] ?? 0, column.offsets[rows] ?? 0];
    slabs.push(column.data.subarray(from, to));
    for (let row = 1; row <= rows; row++) offsets[at + row] = size + (column.offsets[row] ?? 0) - from;
    at += rows;
    size += to - from;
  }
  const data = new Uint8Array(size);
  let end = 0;
  for (const slab of slabs) {
    data.set(slab, end);
    end += slab.length;
  }
  return utf8Column(data, offsets, valid);
}
