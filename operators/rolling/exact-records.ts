import { LATE } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { RollingDefinition } from './rolling-definition.ts';
import { layOut, type RollingLayout } from './rolling-layout.ts';
import type { RollingRecords } from './rolling-records.ts';
import { decodeRows, newestStoredMs } from './row-format.ts';
import { RowReadings } from './row-readings.ts';
import { RowStore } from './row-store.ts';
import { RowWriter } from './row-writer.ts';

/** The dictionary is searched for texts that no row uses any more once it has doubled since the last search, but not below this size. */
const smallestDictionarySweep = 65_536;

/**
 * The records of a rolling operator one by one: the rows of each key in event-time order, from which every aggregate is computed anew.
 *
 * For each record: insert its row where its event time belongs, find each window's first and last row by binary search, walk them, and leave the row in place, or take it out again, if it was
 * late. Cost a record: two binary searches a window, and one walk of the longest window for each (column, aggregate).
 */
export class ExactRecords implements RollingRecords {
  readonly layout: RollingLayout;
  readonly dictionary: KeyIndex = new KeyIndex();
  readonly #retentionMs: number;
  readonly #rows: RowStore;
  readonly #writer: RowWriter;
  readonly #readings: RowReadings;
  #dictionarySweepSize = smallestDictionarySweep;

  /** @param schema the input's schema, which the plan has checked to have the definition's columns. */
  constructor(definition: RollingDefinition, schema: Schema) {
    this.layout = layOut(definition, schema);
    const { columns, readings, retentionMs } = this.layout;
    this.#retentionMs = retentionMs;
    this.#rows = new RowStore(columns.length);
    this.#writer = new RowWriter(columns, this.dictionary);
    this.#readings = new RowReadings(readings);
  }

  get heldBytes(): number {
    return this.#rows.heldBytes;
  }

  horizonMs(watermarkMs: number): number {
    return watermarkMs - this.#retentionMs;
  }

  forget(slot: number, watermarkMs: number): void {
    this.#rows.trim(slot, watermarkMs - this.#retentionMs);
  }

  answer(
    slot: number,
    row: number,
    eventTimeMs: number,
    watermarkMs: number,
    inputs: readonly Float64Array[],
    answers: readonly Float64Array[],
  ): number {
    const rows = this.#rows;
    const horizonMs = watermarkMs - this.#retentionMs;
    const position = rows.insert(slot, eventTimeMs);
    const chunk = rows.chunk(slot);
    const start = rows.start(slot);
    const stride = rows.stride(slot);
    const own = start + position;
    for (let column = 0; column < inputs.length; column++) {
      chunk[own + (1 + column) * stride] = inputs[column]?.[row] ?? NaN;
    }
    this.#readings.read(chunk, start, own, stride, eventTimeMs, horizonMs, row, answers);
    if (eventTimeMs >= horizonMs) return 0;
    rows.removeAt(slot, position);
    return LATE;
  }

  newestMs(slot: number): number {
    return this.#rows.newestTimeMs(slot);
  }

  clear(slot: number): void {
    this.#rows.clear(slot);
  }

  read(slot: number, bytes: Uint8Array): void {
    decodeRows(bytes, this.#rows, slot, this.layout.columns, this.dictionary);
  }

  write(slot: number): Uint8Array {
    return this.#writer.write(this.#rows, slot);
  }

  newestStoredMs(bytes: Uint8Array): number {
    return newestStoredMs(bytes);
  }

  /** Gives back dictionary codes that no row uses, so that the dictionary is bounded by what the windows hold. */
  tidy(keys: KeyIndex): void {
    const { dictionary } = this;
    if (dictionary.size < this.#dictionarySweepSize) return;
    const used = this.#usedCodes(keys);
    for (let code = 0; code < used.length; code++) {
      if (used[code] === 0 && dictionary.isLive(code)) dictionary.delete(code);
    }
    this.#dictionarySweepSize = Math.max(smallestDictionarySweep, dictionary.size * 2);
  }

  /** 1 for each code of the dictionary that a row has. */
  #usedCodes(keys: KeyIndex): Uint8Array {
    const rows = this.#rows;
    const used = new Uint8Array(this.dictionary.slotLimit);
    const codeColumns = this.layout.columns.flatMap(({ form }, column) => (form === 'code' ? [column] : []));
    for (let slot = 0; slot < keys.slotLimit; slot++) {
      const count = keys.isLive(slot) ? rows.count(slot) : 0;
      if (count === 0) continue;
      const chunk = rows.chunk(slot);
      for (const column of codeColumns) {
        const from = rows.start(slot) + (1 + column) * rows.stride(slot);
        for (let i = from; i < from + count; i++) {
          const code = chunk[i] ?? NaN;
          if (code === code) used[code] = 1;
        }
      }
    }
    return used;
  }
}
