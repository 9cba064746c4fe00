import type { ByteSlab } from '../../engine/record/column.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateEntry, StateWrite } from '../../engine/state/state-store.ts';
import { JoinRowWriter, readRow, rowName } from './join-format.ts';
import { compareRows, firstFrom, type JoinKey, type JoinRow, type JoinValue, type Side } from './join-row.ts';

/**
 * The records that may still find partners, by key, with what has changed about them since the last flush. All of them are in memory: any may be let go by the next record,
 * whatever its key. A key without records is forgotten.
 */
export class JoinStore {
  readonly #operatorId: string;
  readonly #writer = new JoinRowWriter();
  readonly #index = new KeyIndex();
  /** By slot of `#index`. */
  readonly #keys: (JoinKey | undefined)[] = [];
  #changed = new Set<JoinRow>();
  /** Names in the store that no record has any more. */
  #removed: Uint8Array[] = [];
  #size = 0;

  constructor(operatorId: string) {
    this.#operatorId = operatorId;
  }

  /** How many records there are. */
  get size(): number {
    return this.#size;
  }

  /** The key; `null` where it has no record. */
  find(slab: ByteSlab, row: number): JoinKey | null {
    const slot = this.#index.find(slab, row);
    return slot < 0 ? null : (this.#keys[slot] ?? null);
  }

  /** The key, made where it is new; it is kept only with a record, so one is to be added at once. */
  make(slab: ByteSlab, row: number, values: readonly JoinValue[]): JoinKey {
    return this.#makeKey(slab.data.slice(slab.offsets[row], slab.offsets[row + 1]), values);
  }

  #makeKey(bytes: Uint8Array, values: readonly JoinValue[]): JoinKey {
    const slot = this.#index.findOrInsertKey(bytes);
    return (this.#keys[slot] ??= { slot, bytes, values, left: [], right: [] });
  }

  /** Adds a record among those of its key and side. */
  add(row: JoinRow): void {
    this.#insert(row);
    this.#changed.add(row);
  }

  /** Says that the record is to be written with the next flush. */
  markChanged(row: JoinRow): void {
    this.#changed.add(row);
  }

  /** Forgets a record, and its key with the last one. */
  remove(row: JoinRow): void {
    const { key } = row;
    const rows = key[row.side];
    rows.splice(rows.indexOf(row, firstFrom(rows, row.timeMs)), 1);
    this.#changed.delete(row);
    if (row.isStored) this.#removed.push(rowName(row));
    this.#size--;
    if (key.left.length > 0 || key.right.length > 0) return;
    this.#keys[key.slot] = undefined;
    this.#index.delete(key.slot);
  }

  /**
   * Takes a stored record over.
   *
   * @param expiresMs of a side's record of this event time.
   * @throws {SluiceError} `STATE_FORMAT`
   */
  load(
    { key: name, value }: StateEntry,
    columnsOf: (side: Side) => number,
    expiresMs: (side: Side, timeMs: number) => number,
  ): JoinRow {
    const { key: bytes, keyValues, ...stored } = readRow(name, value, columnsOf);
    const key = this.#makeKey(bytes, keyValues);
    const row: JoinRow = { ...stored, key, isStored: true, expiresMs: expiresMs(stored.side, stored.timeMs) };
    this.#insert(row);
    return row;
  }

  /** What has changed since the last call. */
  takeChanges(): readonly StateWrite[] {
    const operatorId = this.#operatorId;
    const writes: StateWrite[] = this.#removed.map((key) => ({ operatorId, key, value: null }));
    for (const row of this.#changed) {
      writes.push({ operatorId, key: rowName(row), value: this.#writer.write(row) });
      row.isStored = true;
    }
    this.dropChanges();
    return writes;
  }

  /** Forgets what has changed. */
  dropChanges(): void {
    this.#changed = new Set();
    this.#removed = [];
  }

  #insert(row: JoinRow): void {
    const rows = row.key[row.side];
    let at = rows.length;
    while (at > 0 && compareRows(rows[at - 1] ?? row, row) > 0) at--;
    rows.splice(at, 0, row);
    this.#size++;
  }
}
