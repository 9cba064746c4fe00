import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { fileWriter, parquetWrite, type ColumnSource, type ParquetWriteOptions } from 'hyparquet-writer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toRows } from '../../record/record-batch.ts';
import { Schema, type FieldType } from '../../record/schema.ts';
import type { RecordsPolled, Source } from '../source.ts';
import { describeFileSource, type SampleRecord } from './file-source.conformance.ts';
import { openParquetSource } from './parquet-source.ts';

type WriteOptions = Omit<ParquetWriteOptions, 'writer' | 'columnData'>;

async function write(path: string, columnData: ColumnSource[], options: WriteOptions = {}): Promise<void> {
  await parquetWrite({ writer: fileWriter(path), columnData, ...options });
}

function sampleColumns(records: readonly SampleRecord[]): ColumnSource[] {
  const big = (value: number | null): bigint | null => (value === null ? null : BigInt(value));
  return [
    { name: 'id', type: 'STRING', data: records.map((record) => record.id) },
    { name: 'at', type: 'TIMESTAMP', data: records.map((record) => (record.at === null ? null : new Date(record.at))) },
    { name: 'card', type: 'STRING', data: records.map((record) => record.card) },
    { name: 'amount', type: 'DOUBLE', data: records.map((record) => record.amount) },
    { name: 'count', type: 'INT64', data: records.map((record) => big(record.count)) },
    { name: 'flag', type: 'BOOLEAN', data: records.map((record) => record.flag) },
  ];
}

for (const rowGroupSize of [70, 3_000]) {
  describeFileSource({
    name: `Parquet in row groups of ${rowGroupSize}`,
    write: (path, records) => write(path, sampleColumns(records), { rowGroupSize }),
    open: openParquetSource,
  });
}

describe('openParquetSource', () => {
  let directory: string;
  let path: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-parquet-'));
    path = join(directory, 'input.parquet');
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const open = (type: FieldType): Promise<Source> =>
    openParquetSource({
      path,
      schema: new Schema([
        { name: 't', type: 'timestamp', presence: 'required' },
        { name: 'v', type, presence: 'optional' },
      ]),
      eventTimeField: 't',
      keyFields: [],
    });
  const readAll = async (type: FieldType): Promise<RecordsPolled> => {
    await using source = await open(type);
    await source.seek([{ partition: 0, offset: 0 }]);
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 0 });
    if (polled === null || polled === 'end' || polled.kind !== 'records') throw new Error('expected records');
    return polled;
  };
  /** Writes the values as column `v` beside instants, and reads them as a field of the type: each value, or its dead letter's code. */
  const valuesOf = async (
    type: FieldType,
    column: Omit<ColumnSource, 'name'>,
    options?: WriteOptions,
  ): Promise<unknown[]> => {
    const instants = Array.from({ length: column.data.length }, (_, i) => new Date(i));
    await write(
      path,
      [
        { name: 't', type: 'TIMESTAMP', data: instants },
        { name: 'v', ...column },
      ],
      options,
    );
    const { records, deadLetters } = await readAll(type);
    const values: unknown[] = toRows(records).map((row) => row['v']);
    for (const dead of deadLetters) values.splice(dead.offset, 0, dead.code);
    return values;
  };
  const schemaWith = (element: NonNullable<WriteOptions['schema']>[number]): WriteOptions => ({
    schema: [
      { name: 'root', num_children: 2 },
      { name: 't', type: 'INT64', converted_type: 'TIMESTAMP_MILLIS', repetition_type: 'OPTIONAL' },
      element,
    ],
  });
  const withoutTypes = async (
    type: FieldType,
    data: ColumnSource['data'],
    options: WriteOptions,
  ): Promise<unknown[]> => {
    const instants = Array.from({ length: data.length }, (_, i) => new Date(i));
    await write(
      path,
      [
        { name: 't', data: instants },
        { name: 'v', data },
      ],
      options,
    );
    return toRows((await readAll(type)).records).map((row) => row['v']);
  };

  it('reads numbers of every width into doubles and longs, and refuses those that do not fit', async () => {
    expect(await valuesOf('double', { type: 'FLOAT', data: [0.5, -2, null] })).toEqual([0.5, -2, null]);
    expect(await valuesOf('double', { type: 'INT32', data: [1, null] })).toEqual([1, null]);
    expect(await valuesOf('double', { type: 'DOUBLE', data: [1.5, NaN, Infinity] })).toEqual([
      1.5,
      'NUMBER_NOT_FINITE',
      'NUMBER_NOT_FINITE',
    ]);
    expect(await valuesOf('long', { type: 'DOUBLE', data: [12, 12.5] })).toEqual([12, 'FIELD_TYPE']);
    expect(await valuesOf('long', { type: 'INT64', data: [2n ** 53n - 1n, -5n, 2n ** 53n, null] })).toEqual([
      2 ** 53 - 1,
      -5,
      'LONG_UNSAFE',
      null,
    ]);
    const unsigned = { name: 'v', type: 'INT32', converted_type: 'UINT_32', repetition_type: 'REQUIRED' } as const;
    expect(await withoutTypes('long', [7, 4_294_967_295], schemaWith(unsigned))).toEqual([7, 4_294_967_295]);
  });

  it('reads decimals as the doubles nearest to them', async () => {
    const decimal = { type: 'INT64', converted_type: 'DECIMAL', precision: 12, scale: 2 } as const;
    const amounts = [57.16, 0.07, -1234567.89, 1.1];
    const read = await withoutTypes(
      'double',
      amounts,
      schemaWith({ name: 'v', repetition_type: 'OPTIONAL', ...decimal }),
    );
    expect(read).toEqual(amounts);
  });

  it('reads booleans, and 0 and 1 for them', async () => {
    expect(await valuesOf('boolean', { type: 'BOOLEAN', data: [true, false, null] })).toEqual([true, false, null]);
    expect(await valuesOf('boolean', { type: 'INT32', data: [1, 0, 2] })).toEqual([true, false, 'FIELD_TYPE']);
  });

  it('reads instants of every unit as milliseconds, finer ones cut off towards the past', async () => {
    const stamp = (unit: 'MICROS' | 'NANOS'): WriteOptions =>
      schemaWith({
        name: 'v',
        type: 'INT64',
        repetition_type: 'OPTIONAL',
        logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit },
      });
    expect(await withoutTypes('timestamp', [1_999n, -1n, null], stamp('MICROS'))).toEqual([1, -1, null]);
    expect(await withoutTypes('timestamp', [1_999_999n, -1n], stamp('NANOS'))).toEqual([1, -1]);
    const date = schemaWith({ name: 'v', type: 'INT32', converted_type: 'DATE', repetition_type: 'OPTIONAL' });
    expect(await withoutTypes('timestamp', [new Date(86_400_000)], date)).toEqual([86_400_000]);
    expect(await valuesOf('timestamp', { type: 'INT64', data: [5n] })).toEqual([5]);
    expect(await valuesOf('timestamp', { type: 'STRING', data: ['1970-01-01T00:00:01Z', 'today'] })).toEqual([
      1_000,
      'FIELD_TYPE',
    ]);
  });

  it('reads text, and integers by their digits, and refuses bytes that are not UTF-8', async () => {
    expect(await valuesOf('string', { type: 'STRING', data: ['', 'ñandú 名', null] })).toEqual(['', 'ñandú 名', null]);
    expect(await valuesOf('string', { type: 'INT64', data: [4_000_000_000_000_000_001n, null] })).toEqual([
      '4000000000000000001',
      null,
    ]);
    const bytes = [Uint8Array.of(0x61), Uint8Array.of(0xff, 0xfe)];
    expect(await valuesOf('string', { type: 'BYTE_ARRAY', data: bytes })).toEqual(['a', 'FIELD_TYPE']);
  });

  it('reads dictionaries, several pages, and what Node itself decompresses', async () => {
    const data = Array.from({ length: 900 }, (_, i) => `card-${i % 3}`);
    const codecs: WriteOptions = {
      codec: 'GZIP',
      compressors: { GZIP: (input) => new Uint8Array(gzipSync(input)) },
      pageSize: 512,
    };
    expect(await valuesOf('string', { type: 'STRING', data }, codecs)).toEqual(data);
  });

  it('refuses a file that was cut off, wherever, and one of another format', async () => {
    const whole = join(directory, 'whole.parquet');
    await write(whole, [{ name: 't', type: 'TIMESTAMP', data: [new Date(1), new Date(2)] }]);
    const { length } = await readFile(whole);
    for (const size of [0, 3, 4, 11, length >> 1, length - 8, length - 1]) {
      await copyFile(whole, path);
      await truncate(path, size);
      await expect(open('long'), `cut to ${size} bytes`).rejects.toMatchObject({ code: 'PARQUET_INVALID' });
      await expect(open('long')).rejects.toThrow(`file ${path} must be a whole Parquet file; got ${size} bytes`);
    }
    await writeFile(path, 't,v\n1,2\n'.repeat(100));
    await expect(open('long')).rejects.toMatchObject({ code: 'PARQUET_INVALID' });
  });

  it('names the column and the rows when a page is damaged, and reads the row groups before it', async () => {
    const amounts = Float64Array.from({ length: 2_000 }, (_, i) => Math.sqrt(i));
    const instants = Array.from({ length: 2_000 }, (_, i) => new Date(i));
    const columns: ColumnSource[] = [
      { name: 't', type: 'TIMESTAMP', data: instants },
      { name: 'v', type: 'DOUBLE', data: amounts },
    ];
    await write(path, columns, { rowGroupSize: 1_000 });
    const bytes = await readFile(path);
    const second = Buffer.from(amounts.buffer, 1_500 * 8, 8);
    const at = bytes.indexOf(second);
    expect(at).toBeGreaterThan(0);
    // The page's header stands before its values; nothing of it is left.
    bytes.fill(0xff, at - 4_200, at);
    await writeFile(path, bytes);
    await using source = await open('double');
    await source.seek([{ partition: 0, offset: 0 }]);
    expect(await source.poll({ maxRecords: 1_000, maxWaitMs: 0 })).toMatchObject({ records: { rowCount: 1_000 } });
    const next = source.poll({ maxRecords: 1_000, maxWaitMs: 0 });
    await expect(next).rejects.toMatchObject({ code: 'PARQUET_DAMAGED', fields: { rowGroup: 1, row: 1_000 } });
    await expect(next).rejects.toThrow(/column "[tv]" in rows 1000 to 1999 of file /);
  });

  it('refuses columns that cannot give the fields, all of them at once', async () => {
    await write(path, [
      { name: 't', type: 'BOOLEAN', data: [true] },
      { name: 'v', type: 'STRING', data: ['x'] },
    ]);
    await expect(open('double')).rejects.toMatchObject({ code: 'COLUMN_TYPE' });
    await expect(open('double')).rejects.toThrow(
      `file ${path} must hold "t" as timestamp; got BOOLEAN, and must hold "v" as double; got BYTE_ARRAY (UTF8)`,
    );
    await write(path, [{ name: 'time', type: 'TIMESTAMP', data: [new Date(1)] }]);
    await expect(open('double')).rejects.toThrow(`file ${path} must have the column "t"; got time`);
  });

  it('hands out batches that share no memory with the row group', async () => {
    await valuesOf('double', { type: 'DOUBLE', data: [1, 2, 3] });
    await using source = await open('double');
    await source.seek([{ partition: 0, offset: 1 }]);
    const polled = await source.poll({ maxRecords: 1, maxWaitMs: 0 });
    if (polled === null || polled === 'end' || polled.kind !== 'records') throw new Error('expected records');
    const column = polled.records.columns[1];
    expect(column?.kind === 'number' ? column.values.buffer.byteLength : 0).toBe(8);
  });
});
