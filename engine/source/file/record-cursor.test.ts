import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { csvRecordEnd } from './csv-layout.ts';
import { InputFile } from './input-file.ts';
import { lineEnd, RecordCursor, type RecordEnd } from './record-cursor.ts';

describe('RecordCursor', () => {
  let directory: string;
  let files = 0;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-cursor-'));
  });
  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  const recordsOf = async (content: string, recordEnd: RecordEnd, chunkBytes: number): Promise<string[]> => {
    const path = join(directory, String(files++));
    await writeFile(path, content);
    await using file = await InputFile.open(path);
    const cursor = new RecordCursor(file, recordEnd, 0, chunkBytes);
    const records: string[] = [];
    do {
      while (cursor.take()) {
        records.push(Buffer.from(cursor.data.subarray(cursor.start, cursor.end)).toString('utf8'));
        // The position that is noted for a later seek must be where the record is.
        const again = new RecordCursor(file, recordEnd, cursor.startPosition, 64);
        while (!again.take()) await again.fill();
        expect(Buffer.from(again.data.subarray(again.start, again.end)).toString('utf8')).toBe(records.at(-1));
      }
    } while (await cursor.fill());
    return records;
  };

  it('finds the same lines however the file is read', async () => {
    const piece = fc.constantFrom('a', 'bc', '\n', '\r\n', ' ', '{"x":1}', 'é');
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        async (pieces, chunkBytes) => {
          const content = pieces.join('');
          const expected = content
            .split('\n')
            .map((line) => (line.endsWith('\r') ? line.slice(0, -1) : line))
            .filter((line) => line.trim() !== '');
          expect(await recordsOf(content, lineEnd, chunkBytes)).toEqual(expected);
        },
      ),
    );
  });

  it('finds the same CSV rows however the file is read', async () => {
    const piece = fc.constantFrom('a', ',', '\n', '\r\n', '"', '""', '"x\ny"', ' ');
    await fc.assert(
      fc.asyncProperty(
        fc.array(piece, { maxLength: 30 }),
        fc.integer({ min: 1, max: 9 }),
        async (pieces, chunkBytes) => {
          const content = pieces.join('');
          const whole = await recordsOf(content, csvRecordEnd(0x2c), 4_096);
          expect(await recordsOf(content, csvRecordEnd(0x2c), chunkBytes)).toEqual(whole);
          expect(whole.join('').replaceAll(/\s/g, '')).toBe(content.replaceAll(/\s/g, ''));
        },
      ),
    );
  });

  it('keeps line feeds within quotes, and takes quotes within a field for characters', async () => {
    const rows = await recordsOf('a,"b\nc"\n5" pipe,x\n"say ""hi""\n",z\n', csvRecordEnd(0x2c), 3);
    expect(rows).toEqual(['a,"b\nc"', '5" pipe,x', '"say ""hi""\n",z']);
  });
});
