import { lastValueFrom, of } from 'rxjs';
import { runSection, takeState, type Section } from '../../engine/execution/section.ts';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import { numberColumnOf, utf8ColumnOf, type Column } from '../../engine/record/column.ts';
import {
  recordBatch,
  selectRows,
  toRows,
  type IdlePartition,
  type RecordBatch,
} from '../../engine/record/record-batch.ts';
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
  /** Whose watermark its answers wait for: that of the record's own partition at most (the default), or the least of all, which a quiet partition holds back until it is idle. */
  readonly waitsFor?: 'its partition' | 'all partitions';
  /** For an operator of several inputs, whose partitions are numbered in turn: which input a row is of. The operator's first step puts it there. */
  readonly inputs?: LawInputs;
  /** Builds the operator anew, as a query does for each life of its process. */
  open(start: SectionStart, state: StateReader): Section;
}

/** The inputs of an operator that has several. */
export interface LawInputs {
  readonly count: number;
  /** Which of them a row is of, from 0 on. */
  of(row: Row): number;
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

/** What came out, a text for each row, in order. */
export interface LawAnswers {
  /** While the stream came. */
  readonly first: readonly string[];
  /** When all watermarks had passed everything: what had waited for them. */
  readonly rest: readonly string[];
  /** Of the same stream given once more, without its end. */
  readonly again: readonly string[];
}

/** Before a row, a partition was found idle, and so no longer waited for. */
export interface IdleMark {
  readonly beforeRow: number;
  readonly partition: number;
}

/** A stream ends when every watermark is so far behind its newest row: longer than anything that an operator under the laws waits for. */
const restMs = 1_000;
/** The partitions that rows of a stream may be in; all of them end. */
export const partitionCount = 3;

/** Where a process that dies after it will begin: what was stored, and up to which row. */
interface Flushed {
  readonly at: number;
  readonly watermarks: PartitionWatermarks;
}

/**
 * Runs a stream through an operator, cut into batches as `cuts` say, again and again from the first; with none in one batch. After a crash a new operator is built over what was
 * flushed, and what came since is replayed in one batch, unseen.
 *
 * At the end the state is flushed. A new operator is told that every partition is idle, and its watermark far on, so that it gives all that it still has: what waits for a watermark comes sooner or later, by
 * which records came before it, and only all of it together is a function of the stream. And a new operator answers the stream a second time: so two runs that give the same answers have also left states that no record can tell
 * apart, whatever their bytes (what the watermark has passed may be there still, or not).
 */
export async function runLaw(
  operator: OperatorUnderLaws,
  rows: readonly PlacedRow[],
  cuts: readonly Cut[] = [],
  idle: readonly IdleMark[] = [],
): Promise<LawAnswers> {
  const whole = batchOf(operator.schema, [...rows, ...rows]);
  const rule = { delayMs: operator.delayMs, maxFutureSkewMs: Number.MAX_SAFE_INTEGER };
  const store = new LawStore();
  const answers: string[] = [];
  let flushed: Flushed | null = null;
  let watermarks = new PartitionWatermarks();
  let section = operator.open({ state: 'empty', watermarks }, store);
  const give = async (batch: RecordBatch): Promise<readonly string[]> =>
    textsOf((await lastValueFrom(of(batch).pipe(runSection(section)))).records);
  const run = async (from: number, to: number): Promise<readonly string[]> => {
    // A partition leaves before the first row of a batch.
    const starts = [from, ...idle.map(({ beforeRow }) => beforeRow).filter((row) => row > from && row < to), to];
    const given: string[] = [];
    for (const [index, start] of starts.slice(0, -1).entries()) {
      const length = (starts[index + 1] ?? to) - start;
      const part = selectRows(
        whole,
        Int32Array.from({ length }, (_, row) => start + row),
      );
      const left = idle.filter(({ beforeRow }) => beforeRow === start);
      stampWatermarks(part, null, watermarks, rule);
      given.push(...(await give({ ...part, idle: left.map(({ partition }) => quiet(partition, -Infinity)) })));
    }
    return given;
  };
  const end = async (): Promise<readonly string[]> => {
    const newestMs = Math.max(0, ...rows.map(({ row }) => Number(row[eventTimeField])));
    const partitions = Array.from({ length: partitionCount * (operator.inputs?.count ?? 1) }, (_, number) => number);
    const none = selectRows(whole, new Int32Array(0));
    return give({ ...none, idle: partitions.map((partition) => quiet(partition, newestMs + restMs)) });
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
    const to = Math.min(rows.length, at + cut.size);
    answers.push(...(await run(at, to)));
    at = to;
    if (cut.after === 'flush') flush(at);
    if (cut.after === 'crash') await crash(flushed, at);
  }
  flush(rows.length);
  await crash(flushed, rows.length);
  const rest = await end();
  await crash(flushed, rows.length);
  return { first: answers, rest, again: await run(rows.length, 2 * rows.length) };
}

function quiet(partition: number, watermarkMs: number): IdlePartition {
  return { partition, offset: -1, watermarkMs };
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
