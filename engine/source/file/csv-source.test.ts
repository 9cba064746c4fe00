import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toRows } from '../../record/record-batch.ts';
import { Schema, type FieldType } from '../../record/schema.ts';
import type { RecordsPolled } from '../source.ts';
import { openCsvSource } from './csv-source.ts';
import { describeFileSource, type SampleRecord } from './file-source.conformance.ts';

function quoted(text: string | null): string {
  return text === null ? '' : `"${text.replaceAll('"', '""')}"`;
}

function rowOf({ id, at, card, amount, count, flag }: SampleRecord): string {
  return [quoted(id), at, quoted(card), amount, count, flag].map((value) => String(value ?? '')).join(',');
}

describeFileSource({
  name: 'CSV',
  write: (path, records) => writeFile(path, ['id,at,card,amount,count,flag', ...records.map(rowOf)].join('\r\n')),
  open: openCsvSource,
});

describe('openCsvSource', () => {
  let path: string;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-csv-'));
    path = join(directory, 'input.csv');
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  /** Reads a file with the columns `t` and `v`, the latter of the type. */
  const readAll = async (content: string | Uint8Array, type: FieldType, delimiter?: string): Promise<RecordsPolled> => {
    await writeFile(path, content);
    const schema = new Schema([
      { name: 't', type: 'timestamp', presence: 'required' },
      { name: 'v', type, presence: 'optional' },
    ]);
    const options = { path, schema, eventTimeField: 't', keyFields: [] };
    await using source = await openCsvSource(delimiter === undefined ? options : { ...options, delimiter });
    await source.seek([{ partition: 0, offset: 0 }]);
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 0 });
    if (polled === null || polled === 'end' || polled.kind !== 'records') throw new Error('expected records');
    return polled;
  };
  const valuesOf = async (type: FieldType, ...texts: string[]): Promise<unknown[]> => {
    const polled = await readAll(['t,v', ...texts.map((text) => `1,${text}`)].join('\n'), type);
    const values: unknown[] = toRows(polled.records).map((row) => row['v']);
    for (const dead of polled.deadLetters) values.splice(dead.offset, 0, dead.code);
    return values;
  };

  it('reads numbers as people and programs write them, and refuses what is none', async () => {
    expect(await valuesOf('double', '1.5', ' -2 ', '+3', '.5', '5.', '1e3', '', '"7"')).toEqual([
      1.5,
      -2,
      3,
      0.5,
      5,
      1000,
      null,
      7,
    ]);
    expect(await valuesOf('double', 'NaN', '-inf', '1e999', 'x', '1 2', '""', '0x10')).toEqual([
      'NUMBER_NOT_FINITE',
      'NUMBER_NOT_FINITE',
      'NUMBER_NOT_FINITE',
      'FIELD_TYPE',
      'FIELD_TYPE',
      'FIELD_TYPE',
      'FIELD_TYPE',
    ]);
    expect(await valuesOf('long', '12', '12.0', '12.5', '9007199254740993', '-0')).toEqual([
      12,
      12,
      'FIELD_TYPE',
      'LONG_UNSAFE',
      0,
    ]);
  });

  it('reads booleans, instants and texts', async () => {
    expect(await valuesOf('boolean', 'true', 'FALSE', '1', '0', 'yes', '')).toEqual([
      true,
      false,
      true,
      false,
      'FIELD_TYPE',
      null,
    ]);
    expect(await valuesOf('timestamp', '1000', '1970-01-01T00:00:02Z', '1970-01-01', '')).toEqual([
      1000,
      2000,
      'FIELD_TYPE',
      null,
    ]);
    expect(await valuesOf('string', ' a ', '""', '', '"a, ""b"""', '5" pipe', '007')).toEqual([
      ' a ',
      '',
      null,
      'a, "b"',
      '5" pipe',
      '007',
    ]);
  });

  it('makes a dead letter of a row that is none, with its bytes, and goes on', async () => {
    const broken = ['1,2,3', '1', '1,"a"b', '1,\u00ff'];
    const bytes = Buffer.from(['t,v', '5,ok', ...broken, '6,ok', '7,"open'].join('\n'), 'latin1');
    const { records, deadLetters } = await readAll(bytes, 'string');
    expect([...records.eventTimesMs]).toEqual([5, 6]);
    expect(deadLetters.map((dead) => dead.code)).toEqual(Array.from({ length: 5 }, () => 'CSV_MALFORMED'));
    expect(deadLetters.map((dead) => dead.offset)).toEqual([1, 2, 3, 4, 6]);
    expect(deadLetters[0]?.message).toBe('a row must have 2 columns, as the header has; got more');
    expect(deadLetters.map((dead) => Buffer.from(dead.value ?? []).toString('latin1'))).toEqual([...broken, '7,"open']);
  });

  it('takes columns by name, whatever their order, and skips those that it does not know', async () => {
    const { records } = await readAll('\ufeffextra;"v";t\n"x;y";9;1\n', 'long', ';');
    expect(toRows(records)).toEqual([{ t: 1, v: 9 }]);
  });

  it('refuses a header without a needed column, and names the nearest', async () => {
    await expect(readAll('T,v\n1,2\n', 'long')).rejects.toMatchObject({ code: 'COLUMN_MISSING' });
    await expect(readAll('T,v\n1,2\n', 'long')).rejects.toThrow(
      `file ${path} must have the column "t" (did you mean "T"?); got T, v`,
    );
  });

  it('refuses a file without a header, a header that names a column twice, and a delimiter that is none', async () => {
    await expect(readAll('\n\n', 'long')).rejects.toMatchObject({ code: 'CSV_HEADER_INVALID' });
    await expect(readAll('t,v,t\n', 'long')).rejects.toThrow('must name each column once; got "t" twice in its header');
    await expect(readAll('t,v\n', 'long', '"')).rejects.toMatchObject({ code: 'CSV_DELIMITER_INVALID' });
  });
});
