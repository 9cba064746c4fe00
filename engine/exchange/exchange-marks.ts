import { numberColumn, utf8Column, type Column } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import {
  columnOf,
  GUARDED,
  IDLE,
  MARK,
  recordBatch,
  selectRows,
  type IdlePartition,
  type RecordBatch,
} from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import { ExchangeEncoder, type ExchangeEncoderOptions } from './exchange-encoder.ts';
import { passengers } from './exchange-format.ts';

/** Event time that a task's watermark moves on between two marks: what waits for it waits no longer than that, and a trickle of records does not become a flood of marks. */
const markEveryMs = 200;

/** What a task that writes marks must say of itself. */
export interface ExchangeMarksOptions extends Omit<ExchangeEncoderOptions, 'key'> {
  /** The column of the columns passed on that the next stage takes for the event time: the only one that a mark has. */
  readonly eventTimeField: string;
  /** Columns that a mark has as the last record before it: where that was read, and when. */
  readonly kept: readonly string[];
  /** How far the task's watermark is behind its newest record; `null` for a task that reads an exchange itself. */
  readonly delayMs: number | null;
}

/** What a mark says, and of whom. */
interface Mark {
  readonly partition: number;
  readonly offset: number;
  readonly passedMs: number;
  readonly flags: number;
  /** Of the record whose kept columns it has; `null` for none. */
  readonly like: RecordBatch | null;
}

/** A batch under the numbers that its partitions have for the next stage. */
export type Renumbered = (batch: RecordBatch) => RecordBatch;

/**
 * Tells every partition of an exchange how far its writer has come, whether or not records of the writer go there: messages that are no records, flagged `MARK`, with a watermark and nothing else. Without them
 * what waits for all writers would wait, in a partition that some have nothing for, until the hold rule lets go of these. For exchanges whose readers let something wait, which take marks for no
 * records, and whose columns are optional.
 *
 * A writer that is idle says so by such a mark with one flag more, and with how far its watermark is, or has gone on by the clock: with it, it leaves the least of all, in every partition, until its next message
 * there. So the first batch behind it is followed by marks, whatever has changed.
 *
 * Where marks stand depends on how a run was cut into batches, as the order of an exchange does; what is computed of them follows the order as written.
 */
export class ExchangeMarks {
  readonly #options: ExchangeMarksOptions;
  readonly #encoders: readonly ExchangeEncoder[];
  #toldMs = -Infinity;

  constructor(options: ExchangeMarksOptions) {
    this.#options = options;
    this.#encoders = Array.from(
      { length: options.partitionCount },
      (_, partition) => new ExchangeEncoder({ ...options, key: [], partition }),
    );
  }

  /** What the task has passed at the end of a batch. */
  passedMs(records: RecordBatch): number {
    const { delayMs, schema } = this.#options;
    const passed = schema.indexOf(passengers.passed) < 0 ? null : columnOf(records, passengers.passed);
    let passedMs = -Infinity;
    for (let row = 0; row < records.rowCount; row++) {
      const beforeMs = passed?.kind === 'number' ? passed.values[row] : records.watermarksMs[row];
      const isCounted = delayMs !== null && ((records.flags[row] ?? 0) & GUARDED) === 0;
      const afterMs = isCounted ? (records.eventTimesMs[row] ?? -Infinity) - delayMs : -Infinity;
      passedMs = Math.max(passedMs, beforeMs ?? -Infinity, afterMs);
    }
    return passedMs;
  }

  /**
   * The marks behind a batch; none where little has changed since the last.
   *
   * @param records of the batch.
   * @param passedMs as {@link passedMs} gave it, or as it has become without a record.
   */
  write(records: RecordBatch, passedMs: number, renumbered: Renumbered): readonly MessageBatch[] {
    if (passedMs === -Infinity || passedMs < this.#toldMs + markEveryMs) return [];
    this.#toldMs = passedMs;
    const { rowCount } = records;
    const like = rowCount === 0 ? null : selectRows(records, Int32Array.of(rowCount - 1));
    const [partition = 0] = like?.partitions ?? [];
    const [offset = -1] = like?.offsets ?? [];
    return this.#encode({ partition, offset, passedMs, flags: MARK, like }, renumbered);
  }

  /** The marks of partitions that are idle; `watermarkMs` of each says where it stands. */
  idle(idle: readonly IdlePartition[], renumbered: Renumbered): readonly MessageBatch[] {
    this.#toldMs = -Infinity;
    return idle.flatMap(({ partition, offset, watermarkMs }) =>
      this.#encode({ partition, offset, passedMs: watermarkMs, flags: MARK | IDLE, like: null }, renumbered),
    );
  }

  #encode(mark: Mark, renumbered: Renumbered): readonly MessageBatch[] {
    const written = renumbered(this.#batchOf(mark));
    return this.#encoders.map((encoder) => encoder.encode(written).messages);
  }

  #batchOf({ partition, offset, passedMs, flags, like }: Mark): RecordBatch {
    const { schema, eventTimeField, kept } = this.#options;
    // A writer that never had a record has passed nothing, and yet each message has an event time.
    const timeMs = Math.max(passedMs, 0);
    const columns = schema.fields.map(({ name, type }, index): Column => {
      if (name === eventTimeField) return numberColumn(Float64Array.of(timeMs));
      if (name === passengers.passed) return numberColumn(Float64Array.of(passedMs));
      const own = like?.columns[index];
      if (kept.includes(name)) return own ?? numberColumn(Float64Array.of(-1));
      const nothing = Uint8Array.of(0);
      return type === 'string'
        ? utf8Column(new Uint8Array(0), Int32Array.of(0, 0), nothing)
        : numberColumn(new Float64Array(1), nothing);
    });
    const mark = recordBatch(schema, columns, { partition, offset, eventTimesMs: Float64Array.of(timeMs) });
    return { ...mark, flags: Uint8Array.of(flags), watermarksMs: Float64Array.of(passedMs) };
  }
}

/** The columns of an exchange that has marks: none but the event time need be there. */
export function markedSchema(columns: Schema, eventTimeField: string): Schema {
  const isKept = (name: string): boolean => name === eventTimeField;
  return new Schema(columns.fields.map((field) => (isKept(field.name) ? field : { ...field, presence: 'optional' })));
}

/** A batch without the marks in it. */
export function withoutMarks(records: RecordBatch): RecordBatch {
  const rows: number[] = [];
  for (let row = 0; row < records.rowCount; row++) if (((records.flags[row] ?? 0) & MARK) === 0) rows.push(row);
  return rows.length === records.rowCount ? records : selectRows(records, Int32Array.from(rows));
}
