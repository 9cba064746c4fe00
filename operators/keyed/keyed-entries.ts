import type { ByteSlab } from '../../engine/record/column.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateReader, StateWrite } from '../../engine/state/state-store.ts';
import { DueEntries, type DueEntry } from './due-entries.ts';
import type { ScopedWatermarks } from './scoped-watermarks.ts';

/** A key's state as an operator keeps it. Mutable: the operator owns it, and says when it has changed. */
export interface KeyedEntry<S> extends DueEntry {
  /** Whose watermark is its time; see `ScopedWatermarks`. */
  readonly scope: number;
  state: S;
}

/** How an operator's state becomes bytes, the format's version first. */
export interface EntryFormat<S> {
  /** The state alone decides the bytes. */
  encode(state: S): Uint8Array;
  /** @throws {SluiceError} `STATE_FORMAT` */
  decode(bytes: Uint8Array): S;
}

/** Where the watermarks are stored; shorter than any key's name. */
export const watermarksName: Uint8Array = Uint8Array.of(0xff);
/** Behind a key's bytes: a byte that no text contains, and the scope. */
export const suffixBytes: number = 1 + 4;

/**
 * The state of an operator by key, all of it in memory, since any of it may be due at the next record, whatever its key: the entries, the queue of what is due, what has changed
 * since the last flush, and the watermarks that the entries' times are told by. An entry is identified by its key and its scope.
 */
export class KeyedEntries<S> {
  readonly #operatorId: string;
  readonly #format: EntryFormat<S>;
  readonly #watermarks: ScopedWatermarks;
  readonly #index = new KeyIndex();
  /** By slot of `#index`: the key's entries, one for each scope; usually one. */
  readonly #bySlot: (KeyedEntry<S>[] | undefined)[] = [];
  readonly #due = new Map<number, DueEntries<KeyedEntry<S>>>();
  #changed = new Set<KeyedEntry<S>>();
  #removed: Uint8Array[] = [];
  #hasMoved = false;
  #isLoaded: boolean;
  #size = 0;

  /** @param start whether there is stored state, which {@link KeyedEntries.load} then reads. */
  constructor(
    operatorId: string,
    format: EntryFormat<S>,
    watermarks: ScopedWatermarks,
    start: { readonly state: 'empty' | 'stored' },
  ) {
    this.#operatorId = operatorId;
    this.#format = format;
    this.#watermarks = watermarks;
    this.#isLoaded = start.state === 'empty';
  }

  /** How many entries there are. */
  get size(): number {
    return this.#size;
  }

  /**
   * Reads everything once, before the first batch.
   *
   * @param dueOf when an entry that was read is due.
   * @throws {SluiceError} `STATE_FORMAT`
   */
  async load(reader: StateReader, dueOf: (state: S) => number): Promise<void> {
    if (this.#isLoaded) return;
    this.#isLoaded = true;
    for await (const { key, value } of reader.scan(this.#operatorId)) {
      if (key.length === watermarksName.length) {
        this.#watermarks.restore(value);
        continue;
      }
      const bytes = new Uint8Array(key.subarray(0, key.length - suffixBytes));
      const scope = new DataView(key.buffer, key.byteOffset, key.byteLength).getInt32(bytes.length + 1);
      const entry = this.#insert(bytes, scope, this.#format.decode(new Uint8Array(value)));
      this.schedule(entry, dueOf(entry.state));
    }
  }

  /** The entry of a row's key in a scope. */
  find(slab: ByteSlab, row: number, scope: number): KeyedEntry<S> | undefined {
    const slot = this.#index.find(slab, row);
    return slot < 0 ? undefined : this.#bySlot[slot]?.find((entry) => entry.scope === scope);
  }

  /** Makes the entry of a row's key, which has none in this scope; it counts as changed. */
  insert(slab: ByteSlab, row: number, scope: number, state: S): KeyedEntry<S> {
    const bytes = new Uint8Array(slab.data.subarray(slab.offsets[row], slab.offsets[row + 1]));
    const entry = this.#insert(bytes, scope, state);
    this.#changed.add(entry);
    return entry;
  }

  /** Says that an entry's state is to be written with the next flush. */
  markChanged(entry: KeyedEntry<S>): void {
    this.#changed.add(entry);
  }

  /** Says when an entry is to be looked at next; `Infinity` for never. */
  schedule(entry: KeyedEntry<S>, dueMs: number): void {
    entry.dueMs = dueMs;
    let queue = this.#due.get(entry.scope);
    if (queue === undefined) this.#due.set(entry.scope, (queue = new DueEntries()));
    queue.add(entry);
  }

  /** Takes the first entry of a scope that is due at the scope's watermark; whoever takes it removes it, or schedules it anew. */
  takeDue(scope: number): KeyedEntry<S> | null {
    this.#hasMoved = true;
    return this.#due.get(scope)?.take(this.#watermarks.of(scope)) ?? null;
  }

  /** Forgets an entry. */
  remove(entry: KeyedEntry<S>): void {
    const slot = this.#index.find({ data: entry.bytes, offsets: Int32Array.of(0, entry.bytes.length) }, 0);
    const others = this.#bySlot[slot]?.filter((other) => other !== entry) ?? [];
    entry.isLive = false;
    this.#changed.delete(entry);
    this.#removed.push(nameOf(entry));
    this.#size--;
    this.#bySlot[slot] = others.length > 0 ? others : undefined;
    if (others.length === 0) this.#index.delete(slot);
  }

  /** As `StatefulLogic.takeChanges`. A key that went and came back is deleted first. */
  takeChanges(): readonly StateWrite[] {
    const operatorId = this.#operatorId;
    const writes: StateWrite[] = this.#removed.map((key) => ({ operatorId, key, value: null }));
    for (const entry of this.#changed) {
      writes.push({ operatorId, key: nameOf(entry), value: this.#format.encode(entry.state) });
    }
    if (this.#hasMoved) writes.push({ operatorId, key: watermarksName, value: this.#watermarks.encode() });
    this.dropChanges();
    return writes;
  }

  /** As `StatefulLogic.dropChanges`. */
  dropChanges(): void {
    this.#changed = new Set();
    this.#removed = [];
    this.#hasMoved = false;
  }

  #insert(bytes: Uint8Array, scope: number, state: S): KeyedEntry<S> {
    const entry = { bytes, scope, state, dueMs: Infinity, queuedMs: Infinity, isLive: true };
    const slot = this.#index.findOrInsertKey(bytes);
    (this.#bySlot[slot] ??= []).push(entry);
    this.#size++;
    return entry;
  }
}

/** An entry's name in the store: the key as it is readable elsewhere, then the scope, big-endian. */
function nameOf({ bytes, scope }: Pick<KeyedEntry<unknown>, 'bytes' | 'scope'>): Uint8Array {
  const name = new Uint8Array(bytes.length + suffixBytes);
  name.set(bytes);
  name[bytes.length] = 0xff;
  new DataView(name.buffer).setInt32(bytes.length + 1, scope);
  return name;
}
