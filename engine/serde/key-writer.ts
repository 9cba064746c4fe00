import type { Column } from '../record/column.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import { jsonTextBytes, writeText } from './json-text-writer.ts';
import { viewOf } from './message-builder.ts';
import { NUMBER_TEXT_BYTES, writeNumber } from './number-text.ts';
import type { OutputColumn } from './output-columns.ts';

const words: readonly Uint8Array[] = ['false', 'true', 'null'].map((word) => new TextEncoder().encode(word));

/**
 * Writes messages' keys. One column: its value as text with nothing around it, and nothing at all when it is null. Several: a JSON array
 * of their values, which no choice of values makes ambiguous. Instants are milliseconds in both. Used by every encoder, whatever the format of the values, so
 * that a key's bytes, and hence its partition, depend on the key alone.
 */
export class KeyWriter {
  readonly #columns: readonly OutputColumn[];
  #batch: readonly Column[] = [];
  #views: readonly (DataView | null)[] = [];

  constructor(columns: readonly OutputColumn[]) {
    this.#columns = columns;
  }

  /** Begins a batch: the rows that follow are of it. */
  begin(records: RecordBatch): void {
    this.#batch = this.#columns.map((column) => column.of(records));
    this.#views = this.#batch.map((column) => (column.kind === 'utf8' ? viewOf(column.data) : null));
  }

  /** An upper bound of what {@link write} writes for the row. */
  sizeOf(row: number): number {
    let size = 2;
    for (const column of this.#batch) {
      size +=
        column.kind === 'utf8'
          ? jsonTextBytes((column.offsets[row + 1] ?? 0) - (column.offsets[row] ?? 0)) + 5
          : NUMBER_TEXT_BYTES + 1;
    }
    return size;
  }

  /** Writes the row's key from `at` on and gives the position after it. */
  write(out: Uint8Array, outView: DataView, at: number, row: number): number {
    const first = this.#batch[0];
    if (first === undefined) return at;
    if (this.#batch.length === 1) return this.#writeOnly(first, out, at, row);
    let to = at;
    for (let index = 0; index < this.#batch.length; index++) {
      const column = this.#batch[index] ?? first;
      const view = this.#views[index] ?? null;
      out[to++] = index === 0 ? 0x5b : 0x2c;
      if (column.valid !== null && column.valid[row] === 0) {
        to = copy(out, to, words[2]);
      } else if (column.kind === 'number') {
        to = this.#writeScalar(column.values[row] ?? 0, index, out, to);
      } else if (view !== null) {
        to = writeText(out, outView, to, column.data, view, column.offsets[row] ?? 0, column.offsets[row + 1] ?? 0);
      }
    }
    out[to++] = 0x5d;
    return to;
  }

  #writeOnly(column: Column, out: Uint8Array, at: number, row: number): number {
    if (column.valid !== null && column.valid[row] === 0) return at;
    if (column.kind === 'number') return this.#writeScalar(column.values[row] ?? 0, 0, out, at);
    let to = at;
    const end = column.offsets[row + 1] ?? 0;
    for (let from = column.offsets[row] ?? 0; from < end; from++) out[to++] = column.data[from] ?? 0;
    return to;
  }

  #writeScalar(value: number, index: number, out: Uint8Array, at: number): number {
    return this.#columns[index]?.type === 'boolean'
      ? copy(out, at, words[value === 0 ? 0 : 1])
      : writeNumber(out, at, value);
  }
}

function copy(out: Uint8Array, at: number, bytes: Uint8Array | undefined): number {
  if (bytes === undefined) return at;
  out.set(bytes, at);
  return at + bytes.length;
}
