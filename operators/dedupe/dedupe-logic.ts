import type { ByteSlab } from '../../engine/record/column.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import {
  addToChunk,
  chunkKey,
  chunkRecords,
  decodeChunk,
  emptyChunk,
  encodeChunk,
  type Chunk,
} from './chunk-format.ts';

/** Room for keys in the first chunk. */
const smallestChunkBytes = 4_096;

/** Which records are the same, and for how long that is remembered. */
export interface DedupeDefinition {
  readonly operatorId: string;
  /** The columns that identify a record. */
  readonly by: readonly string[];
  /** `Infinity`: for ever, which takes state for every record that there ever was. */
  readonly withinMs: number;
}

/**
 * Drops a record that repeats one that was let through before it and whose event time is less than `withinMs` from its own (as Spark's
 * `dropDuplicatesWithinWatermark`, but exact in event time; for ever, as its `dropDuplicates` without a watermark). A record with a null key is never a duplicate.
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
      for (let i = 0; i < chunk.count; i++) {
        const isNew = this.#keys.find(chunk, i) < 0;
        const slot = this.#keys.findOrInsert(chunk, i);
        this.#remember(slot, isNew ? -Infinity : (this.#times[slot] ?? -Infinity), chunk.times[i] ?? 0);
      }
      this.#count = chunk.number * chunkRecords + chunk.count;
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
        const size = this.#keys.size;
        const slot = this.#keys.findOrInsert(slab, row);
        const keptMs = this.#keys.size > size ? -Infinity : (this.#times[slot] ?? -Infinity);
        // Whatever the watermark has passed counts as forgotten, whether or not it has been swept yet.
        const isRemembered = keptMs > horizonOf(batch.watermarksMs[row] ?? -Infinity, withinMs);
        if (isRemembered && Math.abs(eventTimeMs - keptMs) < withinMs) continue;
        this.#append(slab, row, eventTimeMs);
        this.#remember(slot, keptMs, eventTimeMs);
      }
      kept.push(row);
    }
    this.#watermarks.observe(batch);
    this.#forget(horizonOf(this.#watermarks.minimumMs(), withinMs));
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

  #append({ data, offsets }: ByteSlab, row: number, eventTimeMs: number): void {
    const number = Math.floor(this.#count / chunkRecords);
    let chunk = this.#chunks.at(-1);
    if (chunk?.number !== number) {
      // Ids are mostly of one length, so the next chunk will have about as many bytes as the last.
      chunk = emptyChunk(number, chunk?.data.length ?? smallestChunkBytes);
      this.#chunks.push(chunk);
    }
    this.#changed.add(number);
    addToChunk(chunk, data, offsets[row] ?? 0, offsets[row + 1] ?? 0, eventTimeMs);
    this.#count++;
  }

  /** @param keptMs what is remembered of the slot's key so far; `-Infinity` for nothing. */
  #remember(slot: number, keptMs: number, eventTimeMs: number): void {
    if (slot >= this.#times.length) {
      const grown = new Float64Array(Math.max(this.#times.length * 2, slot + 1));
      grown.set(this.#times);
      this.#times = grown;
    }
    this.#times[slot] = Math.max(keptMs, eventTimeMs);
  }

  /** Drops the oldest chunks while their every record is at or before `horizonMs`. */
  #forget(horizonMs: number): void {
    for (let oldest = this.#chunks[0]; oldest !== undefined && oldest.newestMs <= horizonMs; oldest = this.#chunks[0]) {
      // The open chunk stays: its number is still being filled.
      if (this.#chunks.length === 1) return;
      this.#forgetKeys(oldest, horizonMs);
      this.#deleted.push(oldest.number);
      this.#changed.delete(oldest.number);
      this.#chunks.shift();
    }
  }

  #forgetKeys(chunk: Chunk, horizonMs: number): void {
    for (let i = 0; i < chunk.count; i++) {
      const slot = this.#keys.find(chunk, i);
      // A later record with the same key may have taken its place.
      if (slot >= 0 && (this.#times[slot] ?? Infinity) <= horizonMs) this.#keys.delete(slot);
    }
  }
}

/** Up to where records are forgotten; a watermark that has passed everything is infinite, and so may be how long they are remembered. */
function horizonOf(watermarkMs: number, withinMs: number): number {
  return withinMs === Infinity ? -Infinity : watermarkMs - withinMs;
}
