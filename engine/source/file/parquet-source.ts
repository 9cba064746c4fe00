import { strict as assert } from 'node:assert';
import { gather, numberColumn, utf8Column, type Column } from '../../record/column.ts';
import type { DeadLetter } from '../../record/dead-letter.ts';
import { recordBatch } from '../../record/record-batch.ts';
import type { Field } from '../../record/schema.ts';
import { NULL, problemOf, type FieldFinding } from '../../serde/field-finding.ts';
import type { PartitionOffset, PartitionRange, PollBounds, RecordsPolled, Source } from '../source.ts';
import { isNeeded, stageOf } from './column-binding.ts';
import type { FileSourceOptions } from './file-source-options.ts';
import { offsetIn } from './file-offset.ts';
import { ParquetFile } from './parquet-file.ts';
import type { ReadColumn } from './parquet-values.ts';

/** Why a row is no record: the first of its fields, in the schema's order, that is at fault. */
interface RowFault {
  readonly field: Field;
  readonly finding: FieldFinding;
}

/** The row group that polls are answered from. */
interface LoadedGroup {
  readonly firstRow: number;
  readonly rowCount: number;
  readonly columns: readonly Column[];
  readonly faults: ReadonlyMap<number, RowFault>;
}

/**
 * Opens a Parquet file as a bounded source of records: partition 0, a row's number as its offset. Called when a job starts; the footer is read and checked then.
 *
 * Row groups are read one at a time, so memory is bounded by the largest of them (some 10 bytes a number and row, and as much
 * again for the column being decoded), whatever the file's size. Rows whose values cannot be the fields' (null in a required field, NaN, 2.5 for
 * a long) are dead letters without bytes; the offset says which row it was.
 *
 * What may fill which field: `double` and `long` any number; `boolean` booleans and the integers 0 and 1; `timestamp` timestamps (finer than a
 * millisecond: cut off), dates, milliseconds, and ISO 8601 text; `string` text, and integers by their digits.
 *
 * @throws {SluiceError} (by rejection) what {@link ParquetFile.open} throws.
 */
export async function openParquetSource(options: FileSourceOptions): Promise<Source> {
  return new ParquetSource(options, await ParquetFile.open(options));
}

class ParquetSource implements Source {
  readonly name: string;
  readonly #options: FileSourceOptions;
  readonly #file: ParquetFile;
  #next: number;
  #group: LoadedGroup | null = null;

  constructor(options: FileSourceOptions, file: ParquetFile) {
    this.name = `file ${options.path}`;
    this.#options = options;
    this.#file = file;
    this.#next = file.rowCount;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    return Promise.resolve([{ partition: 0, startOffset: 0, endOffset: this.#file.rowCount, isFinal: true }]);
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#next = offsetIn(this.name, this.#file.rowCount, offsets);
    return Promise.resolve();
  }

  async poll({ maxRecords, signal, paused }: PollBounds): Promise<RecordsPolled | null | 'end'> {
    if (signal?.aborted === true || paused?.has(0) === true) return null;
    if (this.#next >= this.#file.rowCount) return 'end';
    const group = await this.#groupOf(this.#next);
    const from = this.#next - group.firstRow;
    const to = Math.min(from + maxRecords, group.rowCount);
    const polled = this.#cut(group, from, to);
    this.#next = group.firstRow + to;
    return polled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#group = null;
    await this.#file[Symbol.asyncDispose]();
  }

  async #groupOf(row: number): Promise<LoadedGroup> {
    const loaded = this.#group;
    if (loaded !== null && row >= loaded.firstRow && row < loaded.firstRow + loaded.rowCount) return loaded;
    // Let go of the old one first: two row groups at once would double the bound.
    this.#group = null;
    const index = this.#file.rowGroups.findIndex((group) => row < group.firstRow + group.rowCount);
    const extent = this.#file.rowGroups[index];
    assert(extent !== undefined, 'a row of the file is in one of its row groups');
    this.#group = this.#inspect(extent.firstRow, extent.rowCount, await this.#file.readRowGroup(index));
    return this.#group;
  }

  /** Finds the rows that are no records. */
  #inspect(firstRow: number, rowCount: number, read: readonly (ReadColumn | null)[]): LoadedGroup {
    const faults = new Map<number, RowFault>();
    const columns = this.#options.schema.fields.map((field, index) => {
      const { column, misfits } = read[index] ?? {
        column: nullColumn(field, rowCount),
        misfits: new Map<number, number>(),
      };
      for (const [row, finding] of misfits) if (!faults.has(row)) faults.set(row, { field, finding });
      if (column.valid !== null && isNeeded(field, this.#options)) {
        for (let row = column.valid.indexOf(0); row >= 0; row = column.valid.indexOf(0, row + 1)) {
          if (!faults.has(row)) faults.set(row, { field, finding: NULL });
        }
      }
      return column;
    });
    return { firstRow, rowCount, columns, faults };
  }

  /** Rows `[from, to)` of the group as a batch of their own memory, which can be handed to another thread. */
  #cut(group: LoadedGroup, from: number, to: number): RecordsPolled {
    const deadLetters: DeadLetter[] = [];
    const rows = new Int32Array(to - from);
    let rowCount = 0;
    for (let row = from; row < to; row++) {
      const fault = group.faults.size === 0 ? undefined : group.faults.get(row);
      if (fault === undefined) rows[rowCount++] = row;
      else deadLetters.push(this.#deadLetter(group.firstRow + row, fault));
    }
    const isWhole = deadLetters.length === 0;
    const good = rows.subarray(0, rowCount);
    const columns = group.columns.map((column) => (isWhole ? slice(column, from, to) : gather(column, good)));
    const eventTimes = columns[this.#options.schema.indexOf(this.#options.eventTimeField)];
    assert(eventTimes?.kind === 'number', 'the event time is a timestamp field');
    const offset = isWhole ? group.firstRow + from : Float64Array.from(good, (row) => group.firstRow + row);
    return {
      kind: 'records',
      records: recordBatch(this.#options.schema, columns.map(withoutNeedlessValidity), {
        partition: 0,
        offset,
        eventTimesMs: eventTimes.values,
      }),
      deadLetters,
    };
  }

  #deadLetter(offset: number, { field, finding }: RowFault): DeadLetter {
    const { code, message } = problemOf(field, finding);
    const stage = stageOf(field, this.#options);
    return { topic: this.#options.path, partition: 0, offset, stage, code, message, value: null };
  }
}

function nullColumn(field: Field, rowCount: number): Column {
  const valid = new Uint8Array(rowCount);
  return field.type === 'string'
    ? utf8Column(new Uint8Array(0), new Int32Array(rowCount + 1), valid)
    : numberColumn(new Float64Array(rowCount), valid);
}

function slice(column: Column, from: number, to: number): Column {
  const valid = column.valid?.slice(from, to) ?? null;
  if (column.kind === 'number') return numberColumn(column.values.slice(from, to), valid);
  const start = column.offsets[from] ?? 0;
  const offsets = column.offsets.slice(from, to + 1);
  for (let i = 0; i < offsets.length; i++) offsets[i] = (offsets[i] ?? 0) - start;
  return utf8Column(column.data.slice(start, column.offsets[to]), offsets, valid);
}

/** A batch must not tell where it was cut: the same rows without a null have the same form wherever they come from. */
function withoutNeedlessValidity(column: Column): Column {
  return column.valid === null || column.valid.includes(0) ? column : { ...column, valid: null };
}
