import { getJson, putJson, type LmdbEnvironment } from './lmdb-environment.ts';
import { SegmentDamaged } from './segment.ts';
import { decodePart, encodePart, partBytes, type FlushedEntry } from './state-part.ts';
import { storageCorrupt } from './storage-error.ts';

/** Some of a flush's entries: what is written to the store at once. */
export interface JournalPart {
  readonly sequence: number;
  readonly entries: readonly FlushedEntry[];
  readonly bytes: number;
}

/**
 * State that was flushed and has not been merged into the tree yet, in the order of its flushes: in memory, with an index of the newest entry of each
 * key, and part by part in the store. What is here comes before what the tree has.
 *
 * Parts take effect in the store when the flush they belong to is whole there (`activate`); after a crash, the rest of one that was not is
 * deleted.
 */
export class StateJournal {
  readonly #environment: LmdbEnvironment;
  readonly #job: string;
  readonly #parts = new Map<number, JournalPart>();
  readonly #newest = new Map<string, FlushedEntry>();
  /** By prefix. */
  readonly #walks = new Map<string, IterableIterator<FlushedEntry>>();
  #nextSequence = 0;
  /** Parts below this are active in the store. */
  #activeBefore = 0;
  #bytes = 0;

  constructor(environment: LmdbEnvironment, job: string) {
    this.#environment = environment;
    this.#job = job;
  }

  /** Bytes of the parts that are not merged. */
  get byteCount(): number {
    return this.#bytes;
  }

  /** Reads what is in the store, in place of what is in memory. @throws {SluiceError} `STORAGE_CORRUPT` */
  load(): void {
    this.#parts.clear();
    this.#newest.clear();
    this.#bytes = 0;
    const active = getJson(this.#environment.stateJournal, ['active', this.#job]);
    this.#activeBefore = typeof active === 'number' ? active : 0;
    this.#nextSequence = this.#activeBefore;
    for (const { key, value } of this.#environment.stateJournal.getRange(this.#range(0, this.#activeBefore))) {
      try {
        this.#add(Number(key[1]), decodePart(Buffer.from(value)));
      } catch (thrown) {
        if (!(thrown instanceof SegmentDamaged)) throw thrown;
        throw storageCorrupt(
          this.#environment.directory,
          `${thrown.message} (job ${this.#job}, part ${Number(key[1])})`,
        );
      }
    }
  }

  /** Deletes what an owner that died left of a flush that was not whole. Within a transaction. */
  dropInactive(): void {
    this.#removeRange(this.#activeBefore, Number.MAX_SAFE_INTEGER);
  }

  /** Takes parts behind the others; reads see them from now on. They are still to be stored. */
  add(parts: readonly (readonly FlushedEntry[])[]): readonly JournalPart[] {
    return parts.map((entries) => this.#add(this.#nextSequence, entries));
  }

  /** The sequence that the next part will have. */
  get nextSequence(): number {
    return this.#nextSequence;
  }

  /** Writes entries to the store as the part of that sequence. Within a transaction. */
  store(sequence: number, entries: readonly FlushedEntry[]): void {
    this.#environment.stateJournal.putSync([this.#job, sequence], encodePart(entries));
  }

  /** Makes all parts below a sequence take effect. Within the transaction that says so of the job's offsets. */
  activate(before: number): () => void {
    putJson(this.#environment.stateJournal, ['active', this.#job], before);
    return () => {
      this.#activeBefore = before;
    };
  }

  /** The newest value of a key: `undefined` when the journal has none, and the tree is to be asked. */
  find(key: string): Uint8Array | null | undefined {
    return this.#newest.get(key)?.value;
  }

  /** The newest entries whose keys begin with `prefix`, in byte order. */
  entriesWith(prefix: string): readonly FlushedEntry[] {
    return [...this.#newest.values()]
      .filter(({ key }) => key.startsWith(prefix))
      .toSorted((a, b) => (a.key < b.key ? -1 : 1));
  }

  /**
   * About so many of the newest entries whose keys begin with `prefix`, each call going on where the last one for it ended; `isDone` when it has come to the end, and the next call
   * begins anew. Entries come and go meanwhile: one that stays is given.
   */
  some(prefix: string, aboutEntries: number): { readonly entries: readonly FlushedEntry[]; readonly isDone: boolean } {
    const walk = this.#walks.get(prefix) ?? this.#newest.values();
    this.#walks.set(prefix, walk);
    const entries: FlushedEntry[] = [];
    for (let left = aboutEntries; left > 0; left--) {
      const { value: entry, done } = walk.next();
      if (done === true) {
        this.#walks.delete(prefix);
        return { entries, isDone: true };
      }
      if (entry.key.startsWith(prefix)) entries.push(entry);
    }
    return { entries, isDone: false };
  }

  /** The part that is to be merged next; `null` when none is active. */
  oldest(): JournalPart | null {
    for (const part of this.#parts.values()) return part.sequence < this.#activeBefore ? part : null;
    return null;
  }

  /** Whether an entry is still the newest of its key; others need not be merged. */
  isNewest(entry: FlushedEntry): boolean {
    return this.#newest.get(entry.key) === entry;
  }

  /** Deletes a part whose entries the tree has. Within the transaction of the last of them; the returned call makes reads go to the tree. */
  remove(part: JournalPart): () => void {
    this.#environment.stateJournal.removeSync([this.#job, part.sequence]);
    return () => {
      for (const entry of part.entries) if (this.isNewest(entry)) this.#newest.delete(entry.key);
      this.#parts.delete(part.sequence);
      this.#bytes -= part.bytes;
    };
  }

  /** Deletes all parts. Within a transaction. */
  clear(): void {
    this.#removeRange(0, Number.MAX_SAFE_INTEGER);
    this.#environment.stateJournal.removeSync(['active', this.#job]);
  }

  #add(sequence: number, entries: readonly FlushedEntry[]): JournalPart {
    const part = { sequence, entries, bytes: partBytes(entries) };
    this.#parts.set(sequence, part);
    this.#bytes += part.bytes;
    this.#nextSequence = sequence + 1;
    for (const entry of entries) this.#newest.set(entry.key, entry);
    return part;
  }

  #removeRange(from: number, before: number): void {
    const keys = [...this.#environment.stateJournal.getKeys(this.#range(from, before))];
    for (const key of keys) this.#environment.stateJournal.removeSync(key);
  }

  #range(from: number, before: number): { start: (string | number)[]; end: (string | number)[] } {
    return { start: [this.#job, from], end: [this.#job, before] };
  }
}
