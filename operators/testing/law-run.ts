import { lastValueFrom, of } from 'rxjs';
import { runSection, takeState, type Section } from '../../engine/execution/section.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import { recordBatch, selectRows, toRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateEntry, StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { Row } from '../../engine/testing/compare-rows.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';

/** An operator as the laws run it. */
export interface OperatorUnderLaws {
  /** The input's. Strings are drawn from few texts, so that keys repeat. */
  readonly schema: Schema;
  /** What keys the operator's state: rows of different keys do not meet in it. Empty for an operator without state. */
  readonly key: readonly string[];
  /** The delay of the watermark, and so how far out of order rows come. */
  readonly delayMs: number;
  /** Whether answers depend on which of two rows of one key came first. Rows of different keys may always change places. */
  readonly arrivalOrder: 'matters within a key' | 'does not matter';
  /** Builds the operator anew, as a query does for each life of its process. */
  open(start: SectionStart, state: StateReader): Section;
}

/** A row of a stream, and the partition that it comes in. */
export interface PlacedRow {
  readonly row: Row;
  readonly partition: number;
}

/** After this many rows a batch ends, and what happens then. */
export interface Cut {
  readonly size: number;
  /** `flush`: the state is written. `crash`: the process dies, and the next one replays from the last flush. */
  readonly after: 'go on' | 'flush' | 'crash';
}

/** The stream's field for event time, which operators may read as any other. */
export const eventTimeField = 'at';

/** A store of one operator's state. */
class LawStore implements StateReader {
  readonly #entries = new Map<string, StateEntry>();

  write(writes: readonly StateWrite[]): void {
    for (const { operatorId, key, value } of writes) {
      const name = `${operatorId}/${Buffer.from(key).toString('hex')}`;
      if (value === null) this.#entries.delete(name);
      else this.#entries.set(name, { key: Uint8Array.from(key), value: Uint8Array.from(value) });
    }
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    const valueOf = (key: Uint8Array): Uint8Array | null =>
      this.#entries.get(`${operatorId}/${Buffer.from(key).toString('hex')}`)?.value ?? null;
    return Promise.resolve(keys.map(valueOf));
  }

  async *scan(operatorId: string): AsyncGenerator<StateEntry> {
    for (const name of [...this.#entries.keys()].sort()) {
      const entry = name.startsWith(`${operatorId}/`) ? this.#entries.get(name) : undefined;
      if (entry !== undefined) yield await Promise.resolve(entry);
    }
  }
}

/** What came out, a text for each row, in order: of the stream, and of the same stream given once more. */
export interface LawAnswers {
  readonly first: readonly string[];
  readonly again: readonly string[];
}

/** Where a process that dies after it will begin: what was stored, and up to which row. */
interface Flushed {
  readonly at: number;
  readonly watermarks: PartitionWatermarks;
}

/**
 * Runs a stream through an operator, cut into batches as `cuts` say, again and again from the first; with none in one batch. After a crash a new operator is built over what was
 * flushed, and what came since is replayed in one batch, unseen.
 *
 * At the end the state is flushed, and a new operator answers the stream a second time: so two runs that give the same answers have also left states that no record can tell
 * apart, whatever their bytes (what the watermark has passed may be there still, or not).
 */
export async function runLaw(
  operator: OperatorUnderLaws,
  rows: readonly PlacedRow[],
  cuts: readonly Cut[] = [],
): Promise<LawAnswers> {
  const whole = batchOf(operator.schema, [...rows, ...rows]);
  const rule = { delayMs: operator.delayMs, maxFutureSkewMs: Number.MAX_SAFE_INTEGER };
  const store = new LawStore();
  const answers: string[] = [];
  let flushed: Flushed | null = null;
  let watermarks = new PartitionWatermarks();
  let section = operator.open({ state: 'empty', watermarks }, store);
  const run = async (from: number, to: number): Promise<RecordBatch> => {
    const part = selectRows(
      whole,
      Int32Array.from({ length: to - from }, (_, index) => from + index),
    );
    stampWatermarks(part, null, watermarks, rule);
    return (await lastValueFrom(of(part).pipe(runSection(section)))).records;
  };
  const flush = (at: number): void => {
    store.write(takeState(section));
    flushed = { at, watermarks: watermarks.copy() };
  };
  const crash = async (from: Flushed | null, at: number): Promise<void> => {
    watermarks = from?.watermarks.copy() ?? new PartitionWatermarks();
    section = operator.open({ state: from === null ? 'empty' : 'stored', watermarks }, store);
    await run(from?.at ?? 0, at);
  };
  for (let at = 0, turn = 0; at < rows.length; turn++) {
    const cut = cuts[turn % Math.max(1, cuts.length)] ?? { size: rows.length, after: 'go on' };
    const end = Math.min(rows.length, at + cut.size);
    answers.push(...textsOf(await run(at, end)));
    at = end;
    if (cut.after === 'flush') flush(at);
    if (cut.after === 'crash') await crash(flushed, at);
  }
  flush(rows.length);
  await crash(flushed, rows.length);
  return { first: answers, again: textsOf(await run(rows.length, 2 * rows.length)) };
}

/** A batch of rows of several partitions, in arrival order. */
function batchOf(schema: Schema, rows: readonly PlacedRow[]): RecordBatch {
  const offsets = new Map<number, number>();
  const offset = rows.map(({ partition }) => {
    const next = offsets.get(partition) ?? 0;
    offsets.set(partition, next + 1);
    return next;
  });
  const columns = schema.fields.map(({ name, type }): Column => {
    const values = rows.map(({ row }) => row[name] ?? null);
    return type === 'string'
      ? utf8ColumnOf(values.map((value) => (typeof value === 'string' ? value : null)))
      : numberColumnOf(values.map((value) => (value === null ? null : Number(value))));
  });
  return recordBatch(schema, columns, {
    partition: Int32Array.from(rows, ({ partition }) => partition),
    offset: Float64Array.from(offset),
    eventTimesMs: Float64Array.from(rows, ({ row }) => Number(row[eventTimeField])),
  });
}

/** Answers without their positions, which a stream in another order cannot share. */
function textsOf(batch: RecordBatch): readonly string[] {
  return toRows(batch).map((row, index) => JSON.stringify([batch.eventTimesMs[index], batch.flags[index], row]));
}
