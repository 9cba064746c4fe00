import { SluiceError } from '../../engine/error.ts';
import { GUARDED, type IdlePartition, type RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks, type HoldRule, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import { readWatermarkList, writeWatermarkList } from '../stateful/watermark-list.ts';

/** The scope of keys whose records come from several partitions. */
export const queryScope = -1;

const formatVersion = 1;

/**
 * Whose watermark moves a key's time. `partition`: that of the partition that all records of the key come from. `query`: the least of all partitions, for keys whose
 * records come from several.
 */
export type WatermarkScope = 'partition' | 'query';

/**
 * The watermarks by which an operator's keyed state knows the time, moved record by record, so that what depends on them depends on the log alone, and not on how it is cut into
 * batches. The least of all partitions never moves back, though a partition may join with an earlier one.
 */
export class ScopedWatermarks {
  readonly #by: WatermarkScope;
  /** Of each input; of a single one, that of all partitions. */
  readonly #delaysMs: readonly number[];
  readonly #partitions: PartitionWatermarks;
  /** The inputs that have had a record, or are idle. */
  readonly #heard = new Set<number>();
  #queryMs = -Infinity;

  /**
   * @param delayMs how far the watermark is behind the newest record of a partition: tells where it stands behind each record. Of records of several inputs, whose partitions are numbered in turn
   *   (`engine/source/merged`), each one's: the least of all partitions then stands still before all inputs have been heard from, since any of their records may come yet.
   * @param hold where partitions are the tasks that have written the records.
   */
  constructor(by: WatermarkScope, delayMs: number | readonly number[], hold?: HoldRule) {
    this.#by = by;
    this.#delaysMs = typeof delayMs === 'number' ? [delayMs] : delayMs;
    this.#partitions = new PartitionWatermarks([], hold);
  }

  /** Which scope a record's key is in. */
  scopeOf(partition: number): number {
    return this.#by === 'query' ? queryScope : partition;
  }

  /** The scope's watermark; `-Infinity` before its first record. */
  of(scope: number): number {
    return scope === queryScope ? this.#queryMs : this.#partitions.of(scope);
  }

  /** Moves to where the watermark stood before a row. */
  moveTo(batch: RecordBatch, row: number): void {
    this.#advance(batch.partitions[row] ?? 0, batch.watermarksMs[row] ?? -Infinity);
  }

  /** Moves past a row. */
  movePast(batch: RecordBatch, row: number): void {
    const isGuarded = ((batch.flags[row] ?? 0) & GUARDED) !== 0;
    const partition = batch.partitions[row] ?? 0;
    const delayMs = this.#delaysMs[partition % this.#delaysMs.length] ?? 0;
    this.#advance(partition, isGuarded ? -Infinity : (batch.eventTimesMs[row] ?? 0) - delayMs);
  }

  /** Takes an idle partition out of the least of all, and moves its own watermark as far as the clock has. @returns the scope in which something may be due then. */
  leave({ partition, watermarkMs }: IdlePartition): number {
    this.#partitions.leave(partition, watermarkMs);
    this.#moveQuery(partition);
    return this.scopeOf(partition);
  }

  #advance(partition: number, watermarkMs: number): void {
    this.#partitions.hear(partition);
    this.#partitions.advance(partition, watermarkMs);
    this.#moveQuery(partition);
  }

  /** @param partition that was heard from just now, or is idle. */
  #moveQuery(partition: number): void {
    if (this.#heard.size < this.#delaysMs.length) this.#heard.add(partition % this.#delaysMs.length);
    if (this.#heard.size < this.#delaysMs.length) return;
    this.#queryMs = Math.max(this.#queryMs, this.#partitions.minimumMs());
  }

  /** All of them as bytes: `u8 version · f64 least`, and the list of `watermark-list.ts`, little-endian. */
  encode(): Uint8Array {
    const to = new StateWriter();
    to.u8(formatVersion);
    to.f64(this.#queryMs);
    writeWatermarkList(to, this.#partitions.entries());
    return to.take();
  }

  /** Takes over what {@link ScopedWatermarks.encode} wrote. @throws {SluiceError} `STATE_FORMAT` */
  restore(bytes: Uint8Array): void {
    const stored = readScopedWatermarks(bytes);
    for (const { partition, watermarkMs } of stored) if (partition === queryScope) this.#queryMs = watermarkMs;
    const partitions = stored.filter(({ partition }) => partition !== queryScope);
    this.#partitions.restore(partitions);
    for (const { partition } of partitions) this.#heard.add(partition % this.#delaysMs.length);
  }
}

/** Reads what {@link ScopedWatermarks.encode} wrote; the least of all stands as the partition {@link queryScope}. @throws {SluiceError} `STATE_FORMAT` */
export function readScopedWatermarks(bytes: Uint8Array): readonly PartitionWatermark[] {
  const from = new StateBytes(bytes);
  const version = from.u8();
  if (version !== formatVersion) {
    throw new SluiceError(
      'STATE_FORMAT',
      `stored watermarks must have version ${formatVersion}; got ${version}: rebuild the state from the log`,
    );
  }
  const query = { partition: queryScope, watermarkMs: from.f64() };
  return [query, ...readWatermarkList(from)];
}
