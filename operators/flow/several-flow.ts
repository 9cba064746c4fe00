import type { Column } from '../../engine/record/column.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { isMark, spreadColumn, type CountedFlow, type Flow } from './flow.ts';

/** Rows of several flows in the order in which what brought them out was read. */
export interface Together {
  /** Each row's columns are those of its own flow, one flow's behind another's; those of others are null. Partitions and offsets are as the flows have them. */
  readonly flow: Flow;
  /** Which flow each row is of. */
  readonly of: Int32Array;
}

/** Puts the rows of several flows of one batch together. */
export function together(flows: readonly Flow[], schema: Schema): Together {
  const rowCount = flows.reduce((sum, { records }) => sum + records.rowCount, 0);
  const of = new Int32Array(rowCount);
  const rows = new Int32Array(rowCount);
  const causes = new Int32Array(rowCount);
  const next = flows.map(() => 0);
  for (let at = 0; at < rowCount; at++) {
    let least = -1;
    let leastCause = Infinity;
    for (let i = 0; i < flows.length; i++) {
      const [flow, row] = [flows[i], next[i] ?? 0];
      const cause = flow === undefined || row === flow.records.rowCount ? Infinity : (flow.causes[row] ?? 0);
      if (cause < leastCause) [least, leastCause] = [i, cause];
    }
    of[at] = least;
    causes[at] = leastCause;
    rows[at] = next[least] ?? 0;
    next[least] = (next[least] ?? 0) + 1;
  }
  const columns = flows.flatMap(({ records }, i): Column[] => {
    const own = rows.map((row, at) => (of[at] === i ? row : -1));
    return records.columns.map((column) => spreadColumn(column, own));
  });
  const pick = <A extends Int32Array | Float64Array | Uint8Array>(to: A, from: (records: RecordBatch) => A): A => {
    const arrays = flows.map(({ records }) => from(records));
    for (let at = 0; at < rowCount; at++) to[at] = arrays[of[at] ?? 0]?.[rows[at] ?? 0] ?? 0;
    return to;
  };
  const records: RecordBatch = {
    schema,
    rowCount,
    columns,
    partitions: pick(new Int32Array(rowCount), (from) => from.partitions),
    offsets: pick(new Float64Array(rowCount), (from) => from.offsets),
    eventTimesMs: pick(new Float64Array(rowCount), (from) => from.eventTimesMs),
    watermarksMs: pick(new Float64Array(rowCount), (from) => from.watermarksMs),
    flags: pick(new Uint8Array(rowCount), (from) => from.flags),
    idle: flows.flatMap((flow) => flow.records.idle ?? []),
  };
  return { flow: { records, causes }, of };
}

/** What became of the rows of several flows before they met. */
export function countsOf(flows: readonly CountedFlow[]): Omit<CountedFlow, keyof Flow> {
  const sum = (count: (flow: CountedFlow) => number): number => flows.reduce((total, flow) => total + count(flow), 0);
  return {
    taken: sum(({ taken }) => taken),
    filtered: sum(({ filtered }) => filtered),
    duplicate: sum(({ duplicate }) => duplicate),
    late: flows.flatMap(({ late }) => late).sort((a, b) => a - b),
    spoiled: flows.flatMap(({ spoiled }) => spoiled),
  };
}

/** A flow without its marks: of what holds no watermark back. */
export function withoutMarks<F extends Flow>(flow: F): F {
  const { records, causes } = flow;
  const rows: number[] = [];
  for (let row = 0; row < records.rowCount; row++) if (!isMark(records, row)) rows.push(row);
  if (rows.length === records.rowCount) return flow;
  return {
    ...flow,
    records: selectRows(records, Int32Array.from(rows)),
    causes: Int32Array.from(rows, (row) => causes[row] ?? 0),
  };
}
