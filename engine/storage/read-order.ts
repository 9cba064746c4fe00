import type { OffsetRange } from '../execution/commit-log.ts';
import type { PartitionWatermark } from '../time/partition-watermarks.ts';
import { putJson, type LmdbEnvironment } from './lmdb-environment.ts';

/** A row is begun anew beyond so many ranges: it is written again with each flush. */
const rangesPerRow = 256;
/** And beyond so many records, so that a replay finds a place to begin near the one it needs. */
const recordsPerRow = 65_536;
/** Rows that are looked at for being below the log's start, when a row is begun. */
const looksPerRow = 8;

/** A stretch of a job's input in the order in which it was read. */
export interface OrderRow {
  readonly number: number;
  /** Of each partition, before the first of its ranges; `null` where nothing had been read before: where the job began. */
  readonly watermarksMs: readonly PartitionWatermark[] | null;
  readonly ranges: readonly OffsetRange[];
}

interface StoredRow {
  readonly w: readonly (readonly [partition: number, watermarkMs: number | null])[] | null;
  /** Partition, from, to, by turns. */
  readonly r: readonly number[];
  /** Which of the ranges, counted from 0, say that a partition was found idle, and by how much its watermark went on; absent where none does. */
  readonly i?: readonly (readonly [range: number, idleForMs: number])[];
}

/**
 * The order in which a job has read its partitions, from where it began (or from where the log still reaches) to where its state stands. How partitions interleave is not in
 * the log; whoever computes state anew from the log follows this record (semantics, "Time and order").
 */
export class ReadOrder {
  readonly #environment: LmdbEnvironment;
  readonly #job: string;

  constructor(environment: LmdbEnvironment, job: string) {
    this.#environment = environment;
    this.#job = job;
  }

  /** All rows, oldest first. */
  rows(): readonly OrderRow[] {
    return [...this.#environment.jobs.getRange(this.#all())].map(({ key, value }) => decode(Number(key[2]), value));
  }

  /**
   * Takes what was read since, as it becomes what the stored state reflects. Within the transaction that says so.
   *
   * @param watermarksMs as they stood before the first of the ranges; `null` where the job began with it.
   * @param logStarts where each partition's log starts now: rows that lie before it altogether are deleted.
   */
  append(
    ranges: readonly OffsetRange[],
    watermarksMs: readonly PartitionWatermark[] | null,
    logStarts: ReadonlyMap<number, number>,
  ): void {
    if (ranges.length === 0) return;
    const last = this.#last();
    const isFull = last === null || last.ranges.length >= rangesPerRow || recordsIn(last.ranges) >= recordsPerRow;
    if (!isFull) {
      this.#put({ ...last, ranges: joined([...last.ranges, ...ranges]) });
      return;
    }
    this.#put({ number: (last?.number ?? -1) + 1, watermarksMs, ranges: joined(ranges) });
    this.#prune(logStarts);
  }

  /** Puts rows in the place of all others. Within a transaction. */
  replace(rows: readonly OrderRow[]): void {
    this.clear();
    for (const row of rows) this.#put(row);
  }

  /** Deletes all rows. Within a transaction. */
  clear(): void {
    const keys = [...this.#environment.jobs.getKeys(this.#all())];
    for (const key of keys) this.#environment.jobs.removeSync(key);
  }

  #last(): OrderRow | null {
    const { start, end } = this.#all();
    // Backwards, a range begins at its upper end; the lower one is not in it.
    const backwards = { start: end, end: [...start.slice(0, 2), -1], reverse: true, limit: 1 };
    for (const { key, value } of this.#environment.jobs.getRange(backwards)) return decode(Number(key[2]), value);
    return null;
  }

  #prune(logStarts: ReadonlyMap<number, number>): void {
    if (logStarts.size === 0) return;
    const oldest = [...this.#environment.jobs.getRange({ ...this.#all(), limit: looksPerRow })];
    for (const { key, value } of oldest) {
      const { ranges } = decode(0, value);
      if (!ranges.every(({ partition, to }) => to <= (logStarts.get(partition) ?? 0))) return;
      this.#environment.jobs.removeSync(key);
    }
  }

  #put({ number, watermarksMs, ranges }: OrderRow): void {
    const idle = ranges.flatMap(({ idleForMs }, range) =>
      idleForMs === undefined ? [] : [[range, idleForMs] as const],
    );
    const stored: StoredRow = {
      w: watermarksMs?.map(({ partition, watermarkMs }) => [partition, finite(watermarkMs)] as const) ?? null,
      r: ranges.flatMap(({ partition, from, to }) => [partition, from, to]),
      ...(idle.length === 0 ? {} : { i: idle }),
    };
    putJson(this.#environment.jobs, ['order', this.#job, number], stored);
  }

  #all(): { start: (string | number)[]; end: (string | number)[] } {
    return { start: ['order', this.#job, 0], end: ['order', this.#job, Number.MAX_SAFE_INTEGER] };
  }
}

/** Ranges that follow each other in one partition as one; where a partition was found idle stays where it is. */
export function joined(ranges: readonly OffsetRange[]): readonly OffsetRange[] {
  const whole: OffsetRange[] = [];
  for (const range of ranges) {
    const last = whole.at(-1);
    const areRecords = last?.idleForMs === undefined && range.idleForMs === undefined;
    if (last?.partition === range.partition && last.to === range.from && areRecords)
      whole[whole.length - 1] = { ...last, to: range.to };
    else whole.push(range);
  }
  return whole;
}

function recordsIn(ranges: readonly OffsetRange[]): number {
  return ranges.reduce((sum, { from, to }) => sum + to - from, 0);
}

/** JSON has no infinities. */
function finite(watermarkMs: number): number | null {
  return watermarkMs === -Infinity ? null : watermarkMs;
}

function decode(number: number, data: Buffer): OrderRow {
  const { w, r, i = [] } = JSON.parse(data.toString('utf8')) as StoredRow;
  const idle = new Map(i);
  const ranges: OffsetRange[] = [];
  for (let at = 0; at + 2 < r.length; at += 3) {
    const range = { partition: r[at] ?? 0, from: r[at + 1] ?? 0, to: r[at + 2] ?? 0 };
    const idleForMs = idle.get(at / 3);
    ranges.push(idleForMs === undefined ? range : { ...range, idleForMs });
  }
  const watermarksMs =
    w?.map(([partition, watermarkMs]) => ({ partition, watermarkMs: watermarkMs ?? -Infinity })) ?? null;
  return { number, watermarksMs, ranges };
}
