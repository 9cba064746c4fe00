import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DeadLetter } from '../../record/dead-letter.ts';
import { toRows } from '../../record/record-batch.ts';
import { Schema } from '../../record/schema.ts';
import type { Source } from '../source.ts';
import type { FileSourceOptions } from './file-source-options.ts';

/** A record as the suite writes it to a file of each format. Null is an absent value. */
export interface SampleRecord {
  readonly id: string;
  readonly at: number | null;
  readonly card: string | null;
  readonly amount: number | null;
  readonly count: number | null;
  readonly flag: boolean | null;
}

/** A format under test: how a file of it is written, and opened as a source. */
export interface FileFormat {
  readonly name: string;
  write(path: string, records: readonly SampleRecord[]): Promise<void>;
  open(options: FileSourceOptions): Promise<Source>;
}

/** The schema of {@link SampleRecord}: all but `count` and `flag` are needed. */
const sampleSchema: Schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'optional' },
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'required' },
  { name: 'count', type: 'long', presence: 'optional' },
  { name: 'flag', type: 'boolean', presence: 'optional' },
]);

const text = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 8 }),
  fc.constantFrom('comma, here', 'a "quote"', '"', ' spaces ', 'two\nlines', 'ünïcödé 名前', '0', 'null', ';|\t'),
);
const cleanRecord: fc.Arbitrary<SampleRecord> = fc.record({
  id: text,
  at: fc.integer({ min: 0, max: 4_000_000_000_000 }),
  card: text,
  // Text has no negative zero.
  amount: fc.double({ noNaN: true, noDefaultInfinity: true }).map((amount) => amount + 0),
  count: fc.option(fc.integer()),
  flag: fc.option(fc.boolean()),
});
const anyRecord: fc.Arbitrary<SampleRecord> = fc.oneof(
  { weight: 6, arbitrary: cleanRecord },
  { weight: 1, arbitrary: cleanRecord.map((record) => ({ ...record, amount: Number.NaN })) },
  { weight: 1, arbitrary: cleanRecord.map((record) => ({ ...record, amount: null })) },
  { weight: 1, arbitrary: cleanRecord.map((record) => ({ ...record, card: null })) },
  { weight: 1, arbitrary: cleanRecord.map((record) => ({ ...record, at: null })) },
);

interface Expected {
  readonly rows: readonly unknown[];
  readonly dead: readonly string[];
}

/** What a source must give of the records: the naive twin. */
function expectedOf(records: readonly SampleRecord[], from = 0): Expected {
  const rows: unknown[] = [];
  const dead: string[] = [];
  records.forEach((record, offset) => {
    if (offset < from) return;
    if (record.at === null) dead.push(`${offset} event-time FIELD_MISSING`);
    else if (record.card === null) dead.push(`${offset} key FIELD_MISSING`);
    else if (record.amount === null) dead.push(`${offset} decode FIELD_MISSING`);
    else if (!Number.isFinite(record.amount)) dead.push(`${offset} decode NUMBER_NOT_FINITE`);
    else rows.push({ ...record, offset, eventTimeMs: record.at });
  });
  return { rows, dead };
}

/** Polls to the end, in batches of the given sizes taken in turn. */
async function drain(source: Source, sizes: readonly number[]): Promise<Expected> {
  const rows: unknown[] = [];
  const deadLetters: DeadLetter[] = [];
  for (let i = 0; ; i++) {
    const maxRecords = sizes[i % sizes.length] ?? 1;
    const polled = await source.poll({ maxRecords, maxWaitMs: 0 });
    if (polled === 'end') break;
    if (polled === null || polled.kind !== 'records') throw new Error('a file source gives records');
    expect(polled.records.rowCount + polled.deadLetters.length).toBeGreaterThan(0);
    expect(polled.records.rowCount + polled.deadLetters.length).toBeLessThanOrEqual(maxRecords);
    deadLetters.push(...polled.deadLetters);
    const { offsets, eventTimesMs } = polled.records;
    toRows(polled.records).forEach((row, index) =>
      rows.push({ ...row, offset: offsets[index], eventTimeMs: eventTimesMs[index] }),
    );
  }
  expect(await source.poll({ maxRecords: 1, maxWaitMs: 0 })).toBe('end');
  return { rows, dead: deadLetters.map((each) => `${each.offset} ${each.stage} ${each.code}`) };
}

/** The suite that every file source passes. */
export function describeFileSource(format: FileFormat): void {
  describe(`${format.name}, as a source`, () => {
    let directory: string;
    let files = 0;
    beforeAll(async () => {
      directory = await mkdtemp(join(tmpdir(), 'sluice-file-source-'));
    });
    afterAll(async () => {
      await rm(directory, { recursive: true, force: true });
    });

    const options = (path: string, schema: Schema = sampleSchema): FileSourceOptions => ({
      path,
      schema,
      eventTimeField: 'at',
      keyFields: ['card'],
    });
    const fileOf = async (records: readonly SampleRecord[]): Promise<string> => {
      const path = join(directory, `records-${files++}`);
      await format.write(path, records);
      return path;
    };
    const sample = (count: number): SampleRecord[] =>
      Array.from({ length: count }, (_, i) => ({
        id: `tx-${i}`,
        at: 1_000 + i,
        card: i % 10 === 7 ? null : `card-${i % 3}`,
        amount: i % 10 === 4 ? Number.NaN : i / 4,
        count: i % 2 === 0 ? i : null,
        flag: i % 5 === 0,
      }));

    it('gives every record in order, and bad ones as dead letters, however it is polled', async () => {
      const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 });
      await fc.assert(
        fc.asyncProperty(fc.array(anyRecord, { maxLength: 40 }), sizes, async (records, batchSizes) => {
          await using source = await format.open(options(await fileOf(records)));
          expect(await source.ranges()).toEqual([
            { partition: 0, startOffset: 0, endOffset: records.length, isFinal: true },
          ]);
          await source.seek([{ partition: 0, offset: 0 }]);
          expect(await drain(source, batchSizes)).toEqual(expectedOf(records));
        }),
        { numRuns: 60 },
      );
    });

    it('reads on from any offset, again and again', async () => {
      const records = sample(10_000);
      await using source = await format.open(options(await fileOf(records)));
      for (const offset of [9_999, 0, 4_096, 4_095, 8_200, 10_000]) {
        await source.seek([{ partition: 0, offset }]);
        expect(await drain(source, [1_000])).toEqual(expectedOf(records, offset));
      }
    });

    it('starts over in the middle of its records when it is told to', async () => {
      const records = sample(50);
      await using source = await format.open(options(await fileOf(records)));
      await source.seek([{ partition: 0, offset: 10 }]);
      await source.poll({ maxRecords: 7, maxWaitMs: 0 });
      await source.seek([{ partition: 0, offset: 3 }]);
      expect(await drain(source, [100])).toEqual(expectedOf(records, 3));
    });

    it('reads nothing of a partition that is not named, and null once the signal is aborted', async () => {
      await using source = await format.open(options(await fileOf(sample(5))));
      await source.seek([]);
      expect(await source.poll({ maxRecords: 5, maxWaitMs: 0 })).toBe('end');
      await source.seek([{ partition: 0, offset: 0 }]);
      expect(await source.poll({ maxRecords: 5, maxWaitMs: 0, signal: AbortSignal.abort() })).toBeNull();
      expect(await source.poll({ maxRecords: 5, maxWaitMs: 0 })).toMatchObject({ kind: 'records' });
    });

    it('refuses an offset beyond the end of the file', async () => {
      await using source = await format.open(options(await fileOf(sample(5))));
      await expect(async () => source.seek([{ partition: 0, offset: 6 }])).rejects.toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
      });
    });

    it('gives null for an optional field that the file has not', async () => {
      const schema = sampleSchema.with({ name: 'note', type: 'string', presence: 'optional' });
      await using source = await format.open(options(await fileOf(sample(3)), schema));
      await source.seek([{ partition: 0, offset: 0 }]);
      const { rows } = await drain(source, [10]);
      expect(rows).toEqual(expectedOf(sample(3)).rows.map((row) => Object.assign({}, row, { note: null })));
    });

    it('refuses a file that is not there, and a directory, by name', async () => {
      const missing = join(directory, 'no-such-file');
      await expect(format.open(options(missing))).rejects.toMatchObject({ code: 'FILE_MISSING' });
      await expect(format.open(options(missing))).rejects.toThrow(missing);
      await expect(format.open(options(directory))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    });

    it('refuses an event time or a key that the schema has not', async () => {
      const path = await fileOf(sample(1));
      await expect(format.open({ ...options(path), eventTimeField: 'id' })).rejects.toMatchObject({
        code: 'EVENT_TIME_FIELD_INVALID',
      });
      await expect(format.open({ ...options(path), keyFields: ['crad'] })).rejects.toMatchObject({
        code: 'KEY_FIELD_UNKNOWN',
      });
    });

    it('says so when the file becomes shorter while it is read', async () => {
      const path = await fileOf(sample(10));
      await using source = await format.open(options(path));
      await writeFile(path, '');
      const read = async (): Promise<void> => {
        await source.seek([{ partition: 0, offset: 0 }]);
        await source.poll({ maxRecords: 1, maxWaitMs: 0 });
      };
      await expect(read()).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    });
  });
}
