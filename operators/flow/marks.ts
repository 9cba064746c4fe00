import type { Column } from '../../engine/record/column.ts';
import { GUARDED, MARK, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { spreadColumn, type Flow } from './flow.ts';

/** A row that goes on: a row of the outputs, or, below 0, a mark. */
interface Place {
  readonly output: number;
  /** Of the flow before: the row that the output came of, or that the mark stands behind. */
  readonly row: number;
  readonly partition: number;
  readonly watermarkMs: number;
}

/** Rows that an operator made of a flow's, each under the position of its own, with marks between them: the flow's, and one in the place of each row that was left out. */
export function betweenMarks(outputs: RecordBatch, rows: Int32Array, flow: Flow): Flow {
  const { records } = flow;
  const places: Place[] = [];
  let next = 0;
  const takeUpTo = (row: number): void => {
    for (; next < outputs.rowCount && (rows[next] ?? 0) <= row; next++) {
      const [partition, watermarkMs] = [outputs.partitions[next] ?? 0, outputs.watermarksMs[next] ?? -Infinity];
      places.push({ output: next, row: rows[next] ?? 0, partition, watermarkMs });
    }
  };
  for (let row = 0; row < records.rowCount; row++) {
    const before = next;
    takeUpTo(row);
    // A row that was left out still says how far its partition is.
    if (next > before) continue;
    places.push({
      output: -1,
      row,
      partition: records.partitions[row] ?? 0,
      watermarkMs: records.watermarksMs[row] ?? -Infinity,
    });
  }
  takeUpTo(Infinity);
  return placed(outputs, places, flow, 'their own');
}

/** How the watermark goes on behind an operator whose results are records of their own. */
export interface MarkRuleOptions {
  /** Whose watermark the operator goes by: its row's partition's, or the least of all, in which case its results are all in one partition. */
  readonly scope: 'partition' | 'query';
  /** How far the watermark is behind the newest row of a partition; infinite where rows carry it. */
  delayOf(partition: number): number;
  /** How far behind the watermark its results may be. */
  readonly heldMs: number;
  /** Where the watermarks of the flow before it stand at the start. */
  readonly start: readonly PartitionWatermark[];
}

/**
 * Puts between an operator's results how far the watermark is: a result carries the watermark from before the row that brought it out, which it may just have waited for, and behind the row
 * stands the one that the row has moved. So no result that waited for the watermark is behind the one that it carries.
 */
export class MarkRule {
  readonly #options: MarkRuleOptions;
  readonly #watermarks: PartitionWatermarks;
  #leastMs: number;

  constructor(options: MarkRuleOptions) {
    this.#options = options;
    this.#watermarks = new PartitionWatermarks(options.start);
    this.#leastMs = this.#watermarks.minimumMs();
  }

  /** The operator's results of a flow, each with the number of the row that it came of, with marks between them. */
  between(outputs: RecordBatch, rows: Int32Array, flow: Flow): Flow {
    const { records } = flow;
    const { scope, heldMs } = this.#options;
    const places: Place[] = [];
    /** Marks that no result has made it necessary to set yet, by partition. */
    const waiting = new Map<number, Place>();
    const setMarks = (): void => {
      places.push(...waiting.values());
      waiting.clear();
    };
    let next = 0;
    const takeUpTo = (row: number): void => {
      for (; next < outputs.rowCount && (rows[next] ?? 0) <= row; next++) {
        setMarks();
        const partition = outputs.partitions[next] ?? 0;
        places.push({
          output: next,
          row: rows[next] ?? 0,
          partition: scope === 'query' ? 0 : partition,
          watermarkMs: this.#standsAt(partition) - heldMs,
        });
      }
    };
    takeUpTo(-1);
    for (let row = 0; row < records.rowCount; row++) {
      const partition = records.partitions[row] ?? 0;
      this.#move(partition, records.watermarksMs[row] ?? -Infinity);
      takeUpTo(row);
      this.#move(partition, this.#afterMs(records, row));
      const of = scope === 'query' ? 0 : partition;
      // Behind those of rows before it.
      waiting.delete(of);
      waiting.set(of, { output: -1, row, partition: of, watermarkMs: this.#standsAt(partition) - heldMs });
    }
    takeUpTo(Infinity);
    setMarks();
    return placed(outputs, places, flow, 'given');
  }

  #standsAt(partition: number): number {
    return this.#options.scope === 'query' ? this.#leastMs : this.#watermarks.of(partition);
  }

  #move(partition: number, watermarkMs: number): void {
    this.#watermarks.advance(partition, watermarkMs);
    this.#leastMs = Math.max(this.#leastMs, this.#watermarks.minimumMs());
  }

  #afterMs(records: RecordBatch, row: number): number {
    const isGuarded = ((records.flags[row] ?? 0) & GUARDED) !== 0;
    return isGuarded
      ? -Infinity
      : (records.eventTimesMs[row] ?? 0) - this.#options.delayOf(records.partitions[row] ?? 0);
  }
}

/** A mark that is put before a row of a flow; before its end with the rows' number. */
export interface InsertedMark {
  readonly before: number;
  readonly partition: number;
  readonly watermarkMs: number;
}

/** A flow with further marks, given by the rows that they stand before, ascending. */
export function insertMarks(flow: Flow, marks: readonly InsertedMark[]): Flow {
  const { records, causes } = flow;
  const places: Place[] = [];
  let next = 0;
  for (let row = 0; row <= records.rowCount; row++) {
    for (let mark = marks[next]; mark !== undefined && mark.before <= row; mark = marks[++next]) {
      places.push({ output: -1, row: Math.min(row, records.rowCount - 1), ...mark });
    }
    if (row === records.rowCount) break;
    const [partition, watermarkMs] = [records.partitions[row] ?? 0, records.watermarksMs[row] ?? -Infinity];
    places.push({ output: row, row, partition, watermarkMs });
  }
  const whole = { records, causes: Int32Array.from(causes.keys()) };
  const { records: inserted, causes: rows } = placed(records, places, whole, 'given');
  return { records: inserted, causes: rows.map((row) => causes[row] ?? 0) };
}

function placed(outputs: RecordBatch, places: readonly Place[], flow: Flow, watermarks: 'their own' | 'given'): Flow {
  const from = Int32Array.from(places, ({ output }) => output);
  const { records } = flow;
  const offsetOf = ({ output, row }: Place): number =>
    (output < 0 ? records.offsets[row] : outputs.offsets[output]) ?? 0;
  const flagsOf = ({ output, row }: Place): number => {
    if (output >= 0) return outputs.flags[output] ?? 0;
    return MARK | (watermarks === 'given' ? 0 : (records.flags[row] ?? 0));
  };
  const timeOf = ({ output, row, watermarkMs }: Place): number => {
    if (output >= 0) return outputs.eventTimesMs[output] ?? 0;
    return watermarks === 'given' ? watermarkMs : (records.eventTimesMs[row] ?? 0);
  };
  return {
    records: {
      schema: outputs.schema,
      rowCount: places.length,
      columns: outputs.columns.map((column): Column => spreadColumn(column, from)),
      partitions: Int32Array.from(places, ({ partition }) => partition),
      offsets: Float64Array.from(places, offsetOf),
      eventTimesMs: Float64Array.from(places, timeOf),
      watermarksMs: Float64Array.from(places, ({ watermarkMs }) => watermarkMs),
      flags: Uint8Array.from(places, flagsOf),
      ...(records.idle === undefined || watermarks === 'given' ? {} : { idle: records.idle }),
    },
    causes: Int32Array.from(places, ({ row }) => (row < 0 ? row : (flow.causes[row] ?? 0))),
  };
}
