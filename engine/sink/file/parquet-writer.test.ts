import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { asyncBufferFromFile, parquetMetadataAsync, parquetReadObjects } from 'hyparquet';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeParquetFile, type ParquetColumn } from './parquet-writer.ts';

describe('writeParquetFile', () => {
  let directory: string;
  let path: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-parquet-writer-'));
    path = join(directory, 'out.parquet');
  });
  afterEach(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const columns: ParquetColumn[] = [
    { name: 'id', type: 'uint32', values: Uint32Array.of(1, 2_147_483_648, 4_294_967_295), encoding: 'delta' },
    { name: 'plain', type: 'uint32', values: Uint32Array.of(4_294_967_295, 0, 2_147_483_648) },
    { name: 'small', type: 'uint8', values: Uint8Array.of(0, 1, 255) },
    { name: 'at', type: 'timestamp', values: Float64Array.of(0, 1_500, 1_767_225_600_000), encoding: 'delta' },
    { name: 'amount', type: 'double', values: Float64Array.of(-0.1, 1e300, 5e-324) },
    { name: 'text', type: 'string', values: ['', 'é', 'long '.repeat(100)] },
  ];

  it('writes what a reader reads back, to the bit', async () => {
    writeParquetFile(path, columns);
    const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) });
    expect(rows).toEqual([
      { id: 1, plain: 4_294_967_295, small: 0, at: new Date(0), amount: -0.1, text: '' },
      { id: 2_147_483_648, plain: 0, small: 1, at: new Date(1_500), amount: 1e300, text: 'é' },
      {
        id: 4_294_967_295,
        plain: 2_147_483_648,
        small: 255,
        at: new Date('2026-01-01'),
        amount: 5e-324,
        text: 'long '.repeat(100),
      },
    ]);
  });

  it('cuts rows into groups of 100,000', async () => {
    const values = Uint32Array.from({ length: 250_001 }, (_, i) => i);
    writeParquetFile(path, [{ name: 'id', type: 'uint32', values, encoding: 'delta' }]);
    const { row_groups } = await parquetMetadataAsync(await asyncBufferFromFile(path));
    expect(row_groups.map((group) => Number(group.num_rows))).toEqual([100_000, 100_000, 50_001]);
  });

  it('declares whole numbers by the older annotation alone, since ClickHouse refused files with the newer one', async () => {
    writeParquetFile(path, columns);
    const { schema } = await parquetMetadataAsync(await asyncBufferFromFile(path));
    const [id] = schema.filter((element) => element.name === 'id');
    expect(id?.converted_type).toBe('UINT_32');
    expect(id?.logical_type).toBeUndefined();
  });

  it('replaces a file only when the new one is whole', async () => {
    await writeFile(path, 'what was there');
    const ragged: ParquetColumn[] = [...columns, { name: 'short', type: 'uint8', values: Uint8Array.of(1) }];
    expect(() => writeParquetFile(path, ragged)).toThrow(/could not write file .*out\.parquet/);
    expect(await readFile(path, 'utf8')).toBe('what was there');
    expect(await readdir(directory)).toEqual(['out.parquet']);
    writeParquetFile(path, columns);
    expect((await readFile(path)).subarray(0, 4).toString()).toBe('PAR1');
  });

  it('says which file could not be written, and what to look at', () => {
    const nowhere = join(directory, 'no', 'such', 'place.parquet');
    expect(() => writeParquetFile(nowhere, columns)).toThrow(
      expect.objectContaining({ code: 'FILE_WRITE_FAILED', fields: { file: nowhere } }),
    );
    expect(() => writeParquetFile(nowhere, columns)).toThrow('check that its directory exists');
  });
});
