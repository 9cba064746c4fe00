import { strict as assert } from 'node:assert';
import { closeSync, fsyncSync, openSync, renameSync, rmSync } from 'node:fs';
import type { DecodedArray, SchemaElement } from 'hyparquet';
import { fileWriter, parquetWrite } from 'hyparquet-writer';
import { SluiceError, messageOf } from '../../error.ts';

/** One column of a Parquet file to be written; none of its values is null. */
export type ParquetColumn = {
  readonly name: string;
  /** `delta` stores differences between neighbours: a tenth of the size for ids and instants that mostly rise. Whole numbers only. */
  readonly encoding?: 'delta';
} & (
  | { readonly type: 'uint8'; readonly values: Uint8Array }
  | { readonly type: 'uint32'; readonly values: Uint32Array }
  | { readonly type: 'double'; readonly values: Float64Array }
  /** Whole milliseconds since the epoch, UTC. */
  | { readonly type: 'timestamp'; readonly values: Float64Array }
  | { readonly type: 'string'; readonly values: readonly string[] }
);

/** Rows of one row group: what a reader that goes group by group holds at a time, some 5 MB for ten columns. */
const rowGroupRows = 100_000;

/**
 * Writes columns of equal length as a Parquet file (Snappy, row groups of 100,000 rows). Called by commands that give a person a file; not
 * part of a running job. The file appears whole or not at all: it is written beside its place, flushed to the disk and renamed.
 * Synchronous, about a second for ten million values.
 *
 * @param path replaced if it exists; its directory must exist.
 * @throws {SluiceError} `FILE_WRITE_FAILED` when the file system refuses (no such directory, no permission, disk full).
 */
export function writeParquetFile(path: string, columns: readonly ParquetColumn[]): void {
  const partialPath = `${path}.partial`;
  try {
    const pending = parquetWrite({
      writer: fileWriter(partialPath),
      schema: [{ name: 'schema', num_children: columns.length }, ...columns.map(schemaElement)],
      columnData: columns.map((column) => ({
        name: column.name,
        data: physicalValues(column),
        ...(column.encoding === 'delta' ? { encoding: 'DELTA_BINARY_PACKED' as const } : {}),
      })),
      codec: 'SNAPPY',
      rowGroupSize: rowGroupRows,
      createdBy: 'sluice',
    });
    assert(pending === undefined, 'parquetWrite must write at once where the writer has no flush()');
    const file = openSync(partialPath, 'r+');
    try {
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(partialPath, path);
  } catch (cause) {
    rmSync(partialPath, { force: true });
    throw new SluiceError(
      'FILE_WRITE_FAILED',
      `could not write file ${path}: ${messageOf(cause)}; check that its directory exists, may be written to, and has room`,
      { fields: { file: path }, cause },
    );
  }
}

function schemaElement({ name, type }: ParquetColumn): SchemaElement {
  const repetition_type = 'REQUIRED';
  switch (type) {
    // The converted type alone: hyparquet-writer 0.17 encodes the newer INTEGER annotation's width as a 32-bit number where Thrift wants
    // a byte, and ClickHouse and Arrow then refuse the whole file.
    case 'uint8':
      return { name, type: 'INT32', converted_type: 'UINT_8', repetition_type };
    case 'uint32':
      return { name, type: 'INT32', converted_type: 'UINT_32', repetition_type };
    case 'double':
      return { name, type: 'DOUBLE', repetition_type };
    case 'timestamp':
      return {
        name,
        type: 'INT64',
        converted_type: 'TIMESTAMP_MILLIS',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MILLIS' },
        repetition_type,
      };
    case 'string':
      return { name, type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' }, repetition_type };
  }
}

function physicalValues(column: ParquetColumn): DecodedArray {
  switch (column.type) {
    case 'uint8':
    case 'double':
      return column.values;
    case 'uint32':
      // hyparquet-writer 0.17 takes numbers from 2^31 on in plain arrays only.
      return column.values.every((value) => value < 2 ** 31) ? column.values : [...column.values];
    case 'string':
      return [...column.values];
    case 'timestamp': {
      const instants = new BigInt64Array(column.values.length);
      for (let row = 0; row < instants.length; row++) instants[row] = BigInt(column.values[row] ?? 0);
      return instants;
    }
  }
}
