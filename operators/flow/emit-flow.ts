import type { Emitted } from '../../engine/execution/section.ts';
import { LATE, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { isMark, type CountedFlow } from './flow.ts';

/** What the rows of a flow are: records that were read, which are accounted for where they come out, or results, which are accounted for by what brought them out. */
export type FlowRows = 'records' | 'results';

/** A row that an idle partition brought out is under the position of the last record that was read of it. */
interface Position {
  readonly partition: number;
  readonly offset: number;
}

/**
 * What has become of a whole batch, for the batch loop: what comes out has the position of the row that brought it out.
 *
 * @param marks whether rows that are none go out, too, for an operator behind that waits for them.
 */
export function emittedOf(
  flow: CountedFlow,
  batch: RecordBatch,
  rows: FlowRows,
  marks: 'left out' | 'passed on' = 'left out',
): Emitted & { readonly duplicate: number } {
  const { causes, taken, filtered, duplicate, spoiled } = flow;
  const late = selectRows(batch, Int32Array.from(flow.late));
  for (let row = 0; row < late.rowCount; row++) late.flags[row] = (late.flags[row] ?? 0) | LATE;
  const kept = marks === 'left out' ? withoutMarks(flow.records) : Int32Array.from(flow.records.flags.keys());
  const out = selectRows(flow.records, kept);
  const positions = Array.from(kept, (row) => positionOf(batch, causes[row] ?? 0));
  const records = {
    ...out,
    partitions: Int32Array.from(positions, ({ partition }) => partition),
    offsets: Float64Array.from(positions, ({ offset }) => offset),
  };
  const counts = { filtered, duplicate, spoiled };
  if (rows === 'results') return { records, taken, late, ...counts };
  const answeredLate = Array.from(records.flags.keys()).filter((row) => ((records.flags[row] ?? 0) & LATE) !== 0);
  const answered = records.rowCount - answeredLate.length;
  // Records that are answered, and late, are told of once: with those that came too late.
  const lateRows = [...flow.late, ...answeredLate.map((row) => causes[kept[row] ?? 0] ?? 0)].sort((a, b) => a - b);
  return { records, taken: taken + answered, late: selectRows(batch, Int32Array.from(lateRows)), ...counts };
}

function withoutMarks(records: RecordBatch): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < records.rowCount; row++) if (!isMark(records, row)) rows.push(row);
  return Int32Array.from(rows);
}

function positionOf(batch: RecordBatch, cause: number): Position {
  const idle = batch.idle ?? [];
  if (cause < 0) return idle[cause + idle.length] ?? { partition: 0, offset: 0 };
  return { partition: batch.partitions[cause] ?? 0, offset: batch.offsets[cause] ?? 0 };
}
