import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { toRows } from '../../record/record-batch.ts';
import { Schema } from '../../record/schema.ts';
import type { RecordsPolled } from '../source.ts';
import { describeFileSource, type SampleRecord } from './file-source.conformance.ts';
import { openJsonLinesSource } from './json-lines-source.ts';

function lineOf(record: SampleRecord): string {
  // JSON has no NaN; some producers write it all the same.
  return JSON.stringify(record, (_, value: unknown) => (Number.isNaN(value) ? '<NaN>' : value)).replace(
    '"<NaN>"',
    'NaN',
  );
}

describeFileSource({
  name: 'JSON lines',
  write: (path, records) => writeFile(path, records.map((record) => `${lineOf(record)}\n`).join('')),
  open: openJsonLinesSource,
});

describe('openJsonLinesSource', () => {
  let path: string;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-json-lines-'));
    path = join(directory, 'input.jsonl');
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const schema = new Schema([
    { name: 't', type: 'timestamp', presence: 'required' },
    { name: 'v', type: 'string', presence: 'optional' },
  ]);
  const readAll = async (content: string | Uint8Array): Promise<RecordsPolled> => {
    await writeFile(path, content);
    await using source = await openJsonLinesSource({ path, schema, eventTimeField: 't', keyFields: [] });
    await source.seek([{ partition: 0, offset: 0 }]);
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 0 });
    if (polled === null || polled === 'end' || polled.kind !== 'records') throw new Error('expected records');
    return polled;
  };

  it('takes a byte order mark, carriage returns, blank lines and a last line without an end for what they are', async () => {
    const { records, deadLetters } = await readAll('\ufeff{"t":1}\r\n\r\n  \n{"t":2}\n\n{"t":3}');
    expect([...records.eventTimesMs]).toEqual([1, 2, 3]);
    expect([...records.offsets]).toEqual([0, 1, 2]);
    expect(deadLetters).toEqual([]);
  });

  it('keeps the bytes and the place of a line that is no record, and goes on', async () => {
    const { records, deadLetters } = await readAll('{"t":1}\n{"t":2,\n[3]\n{"t":"yesterday"}\n{"t":5}\n');
    expect([...records.offsets]).toEqual([0, 4]);
    expect(deadLetters.map(({ topic, partition, offset, code }) => ({ topic, partition, offset, code }))).toEqual([
      { topic: path, partition: 0, offset: 1, code: 'JSON_MALFORMED' },
      { topic: path, partition: 0, offset: 2, code: 'JSON_NOT_OBJECT' },
      { topic: path, partition: 0, offset: 3, code: 'FIELD_TYPE' },
    ]);
    expect(new TextDecoder().decode(deadLetters[0]?.value ?? undefined)).toBe('{"t":2,');
  });

  it('reads lines longer than what it reads of the file at a time', async () => {
    const long = 'x'.repeat(3_000_000);
    const { records } = await readAll(`{"t":1,"v":"a"}\n{"t":2,"v":"${long}"}\n`);
    expect(toRows(records)).toEqual([{ t: 1, v: 'a' }]);
    await using source = await openJsonLinesSource({ path, schema, eventTimeField: 't', keyFields: [] });
    await source.seek([{ partition: 0, offset: 1 }]);
    expect(await source.poll({ maxRecords: 9, maxWaitMs: 0 })).toMatchObject({ records: { rowCount: 1 } });
  });

  it('refuses a file whose first line has no end within bounds', async () => {
    await writeFile(path, new Uint8Array(40 << 20).fill(0x61));
    await using source = await openJsonLinesSource({ path, schema, eventTimeField: 't', keyFields: [] });
    await expect(source.ranges()).rejects.toMatchObject({ code: 'FILE_RECORD_TOO_LONG' });
  });

  it('ends at once on an empty file', async () => {
    await writeFile(path, '');
    await using source = await openJsonLinesSource({ path, schema, eventTimeField: 't', keyFields: [] });
    expect(await source.ranges()).toEqual([{ partition: 0, startOffset: 0, endOffset: 0, isFinal: true }]);
    await source.seek([{ partition: 0, offset: 0 }]);
    expect(await source.poll({ maxRecords: 1, maxWaitMs: 0 })).toBe('end');
  });
});
