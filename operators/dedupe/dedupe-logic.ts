import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import { chunkKey, chunkRecords, decodeChunk, encodeChunk, type Chunk } from './chunk-format.ts';

/** Which records are the same, and for how long that is remembered. */
export interface DedupeDefinition {
  readonly operatorId: string;
  /** The columns that identify a record. */
  readonly by: readonly string[];
  readonly withinMs: number;
}

/**
 * Drops a record that repeats one that was let through before it and whose event time is less than `withinMs` from its own (as Spark's
 * `dropDuplicatesWithinWatermark`, but exact in event time). A record with a null key is never a duplicate.
 *
 * State is the log of what was let through, cut into chunks of 256 by arrival: the same chunks however the input is cut into batches,
 * and a flush writes only the new ones. A record is forgotten once the watermark is `withinMs` past it.
 */
export class DedupeLogic implements StatefulLogic {
  readonly operatorId: string;
  readonly #definition: DedupeDefinition;
  readonly #keys = new KeyIndex();
  /** Per slot: the event time of the newest record of that key that was let through. */
  #times: Float64Array = new Float64Array(1024);
  readonly #chunks: Chunk[] = [];
  readonly #changed = new Set<number>();
  readonly #deleted: number[] = [];
  readonly #watermarks: PartitionWatermarks;
  #loaded: boolean;
  #count = 0;

  constructor(
    definition: DedupeDefinition,
    start: { readonly state: 'empty' | 'stored'; readonly watermarks: PartitionWatermarks },
  ) {
    this.operatorId = definition.operatorId;
    this.#definition = definition;
    this.#watermarks = start.watermarks.copy();
    this.#loaded = start.state === 'empty';
  }

  /** How many records are remembered. */
  get keyCount(): number {
    return this.#keys.size;
  }

  /** Reads the whole log once, before the first batch: a look-up per record would cost more than the memory. */
  async prefetch(_batch: RecordBatch, reader: StateReader): Promise<void> {
    if (this.#loaded) return;
    this.#loaded = true;
    for await (const { key, value } of reader.scan(this.operatorId)) {
      const chunk = decodeChunk(key, value);
      this.#chunks.push(chunk);
      chunk.keys.forEach((bytes, index) => this.#remember(bytes, chunk.times[index] ?? 0));
      this.#count = chunk.number * chunkRecords + chunk.keys.length;
    }
  }

  apply(batch: RecordBatch): RecordBatch {
    const { slab, present } = encodeKeys(batch, this.#definition.by);
    const { withinMs } = this.#definition;
    const kept: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) {
      const eventTimeMs = batch.eventTimesMs[row] ?? 0;
      const hasKey = present === null || present[row] === 1;
      if (hasKey) {
        const slot = this.#keys.find(slab, row);
        const keptMs = slot < 0 ? -Infinity : (this.#times[slot] ?? -Infinity);
        // Whatever the watermark has passed counts as forgotten, whether or not it has been swept yet.
        const isRemembered = keptMs > (batch.watermarksMs[row] ?? -Infinity) - withinMs;
        if (isRemembered && Math.abs(eventTimeMs - keptMs) < withinMs) continue;
        this.#append(slab.data.slice(slab.offsets[row], slab.offsets[row + 1]), eventTimeMs);
      }
      kept.push(row);
    }
    this.#watermarks.observe(batch);
    this.#forget(this.#watermarks.minimumMs() - withinMs);
    return kept.length === batch.rowCount ? batch : selectRows(batch, Int32Array.from(kept));
  }

  takeChanges(): readonly StateWrite[] {
    const { operatorId } = this;
    const writes: StateWrite[] = this.#deleted.map((number) => ({ operatorId, key: chunkKey(number), value: null }));
    for (const chunk of this.#chunks) {
      if (this.#changed.has(chunk.number))
        writes.push({ operatorId, key: chunkKey(chunk.number), value: encodeChunk(chunk) });
    }
    this.#changed.clear();
    this.#deleted.length = 0;
    return writes;
  }

  dropChanges(): void {
    this.#changed.clear();
    this.#deleted.length = 0;
  }

  #append(key: Uint8Array, eventTimeMs: number): void {
    const number = Math.floor(this.#count / chunkRecords);
    let chunk = this.#chunks.at(-1);
    if (chunk?.number !== number) {
      chunk = { number, keys: [], times: [], newestMs: -Infinity };
      this.#chunks.push(chunk);
    }
    chunk.keys.push(key);
    chunk.times.push(eventTimeMs);
    chunk.newestMs = Math.max(chunk.newestMs, eventTimeMs);
    this.#changed.add(number);
    this.#count++;
    this.#remember(key, eventTimeMs);
  }

  #remember(key: Uint8Array, eventTimeMs: number): void {
    const limit = this.#keys.slotLimit;
    const size = this.#keys.size;
    const slot = this.#keys.findOrInsertKey(key);
    const isNew = this.#keys.size > size || slot >= limit;
    if (slot >= this.#times.length) {
      const grown = new Float64Array(Math.max(this.#times.length * 2, slot + 1));
      grown.set(this.#times);
      this.#times = grown;
    }
    this.#times[slot] = isNew ? eventTimeMs : Math.max(this.#times[slot] ?? -Infinity, eventTimeMs);
  }

  /** Drops the oldest chunks while their every record is at or before `horizonMs`. */
  #forget(horizonMs: number): void {
    for (let oldest = this.#chunks[0]; oldest !== undefined && oldest.newestMs <= horizonMs; oldest = this.#chunks[0]) {
      // The open chunk stays: its number is still being filled.
      if (this.#chunks.length === 1) return;
      for (const key of oldest.keys) this.#forgetKey(key, horizonMs);
      this.#deleted.push(oldest.number);
      this.#changed.delete(oldest.number);
      this.#chunks.shift();
    }
  }

  #forgetKey(key: Uint8Array, horizonMs: number): void {
    const slot = this.#keys.find({ data: key, offsets: Int32Array.of(0, key.length) }, 0);
    // A later record with the same key may have taken its place.
    if (slot >= 0 && (this.#times[slot] ?? Infinity) <= horizonMs) this.#keys.delete(slot);
  }
}
