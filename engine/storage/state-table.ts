import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { StateEntry, StateReader, StateScanStep, StateWrite } from '../state/state-store.ts';
import type { LmdbEnvironment } from './lmdb-environment.ts';
import { StateJournal, type JournalPart } from './state-journal.ts';
import { StateNames, statePrefixBytes } from './state-names.ts';
import { cutIntoParts, keyText, partBytes, type FlushedEntry } from './state-part.ts';

/** LMDB's own limit is 1,978 bytes; a card number has 16. */
const maxKeyBytes = 1024;
/** Entries that a scan reads before it lets others have their turn. */
const scanChunk = 1_000;
/** Where a scan in steps has come to the end of the tree. Shorter than any key. */
const fromJournal = '';

/** A flush that has been laid out: its parts, and how much they are. */
export interface PreparedFlush {
  readonly parts: readonly (readonly FlushedEntry[])[];
  readonly bytes: number;
}

/** What a step of merging leaves to do. */
export interface MergeStep {
  /** The entry to go on at, in the part where the step ended. */
  readonly next: number;
  /** To be called when the transaction has succeeded. */
  readonly done: () => void;
}

/**
 * One job's keyed state: a tree of [job id, operator id, key] → value, and before it a journal of what was flushed last. A flush is taken into
 * memory as it is, goes to the store part by part, and takes effect there when it is whole; `merge` moves it to the tree a little at a time, and
 * only what has not been flushed anew since. So a flush of 20,000 keys does not hold up the records that come meanwhile.
 */
export class StateTable implements StateReader {
  readonly #environment: LmdbEnvironment;
  readonly #job: string;
  readonly #names: StateNames;
  readonly #journal: StateJournal;
  readonly #key: Buffer = Buffer.allocUnsafe(statePrefixBytes + maxKeyBytes);

  #loaded: 'loaded' | 'not yet' = 'not yet';

  /** Sees what was flushed when it is first read, or reloaded; after that, what it flushes itself. */
  constructor(environment: LmdbEnvironment, job: string) {
    this.#environment = environment;
    this.#job = job;
    this.#names = new StateNames(environment, job);
    this.#journal = new StateJournal(environment, job);
  }

  /** Bytes that are flushed and not merged: in memory, and to be read at the next start. */
  get unmergedBytes(): number {
    return this.#journal.byteCount;
  }

  /** Sees what others have flushed since. @throws {SluiceError} `STORAGE_CORRUPT` */
  reload(): void {
    this.#environment.refresh();
    this.#environment.read(`read the state of job ${this.#job}`, () => {
      this.#journal.load();
    });
    this.#loaded = 'loaded';
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    return new Promise((done) => {
      if (this.#loaded === 'not yet') this.reload();
      const prefix = this.#names.prefixOf(operatorId);
      if (prefix === null) {
        done(keys.map(() => null));
        return;
      }
      const { state } = this.#environment;
      const read = (key: Uint8Array): Uint8Array | null => {
        const stateKey = this.#stateKey(prefix, key);
        const flushed = this.#journal.find(keyText(stateKey));
        return flushed === undefined ? (state.getBinary(stateKey) ?? null) : flushed;
      };
      done(this.#environment.read('read state', () => keys.map(read)));
    });
  }

  /** First the tree, key by key; then what is flushed and not in the tree yet. */
  scanSome(operatorId: string, from: string | null, aboutKeys: number): Promise<StateScanStep> {
    return new Promise((done) => {
      if (this.#loaded === 'not yet') this.reload();
      const prefix = this.#names.prefixOf(operatorId);
      if (prefix === null) done({ entries: [], next: null });
      else
        done(from === fromJournal ? this.#someOfJournal(prefix, aboutKeys) : this.#someOfTree(prefix, from, aboutKeys));
    });
  }

  #someOfTree(prefix: Buffer, from: string | null, aboutKeys: number): StateScanStep {
    const start = from === null ? prefix : Buffer.from(from, 'latin1');
    const range = { start, end: endOf(prefix), exclusiveStart: from !== null, limit: aboutKeys };
    const found = this.#environment.read('read state', () =>
      [...this.#environment.state.getRange(range)].map(({ key, value }) => ({
        text: keyText(key),
        value: Uint8Array.from(value),
      })),
    );
    const entries = found.flatMap(({ text, value }) => {
      const flushed = this.#journal.find(text);
      const newest = flushed === undefined ? value : flushed;
      return newest === null ? [] : [stateEntry(text, newest)];
    });
    return { entries, next: found.length < aboutKeys ? fromJournal : (found.at(-1)?.text ?? fromJournal) };
  }

  #someOfJournal(prefix: Buffer, aboutKeys: number): StateScanStep {
    const { entries, isDone } = this.#journal.some(keyText(prefix), aboutKeys);
    return {
      entries: entries.flatMap(({ key, value }) => (value === null ? [] : [stateEntry(key, value)])),
      next: isDone ? null : fromJournal,
    };
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    if (this.#loaded === 'not yet') this.reload();
    const prefix = this.#names.prefixOf(operatorId);
    if (prefix === null) return;
    // What is flushed or merged while the scan goes on is not seen.
    const flushed = this.#journal.entriesWith(keyText(prefix));
    let next = 0;
    for await (const { key, value } of this.#scanTree(prefix)) {
      const text = keyText(key);
      for (let at = flushed[next]; at !== undefined && at.key < text; at = flushed[++next]) {
        if (at.value !== null) yield stateEntry(at.key, at.value);
      }
      const same = flushed[next];
      if (same?.key !== text) {
        yield { key: key.subarray(statePrefixBytes), value };
        continue;
      }
      if (same.value !== null) yield stateEntry(text, same.value);
      next += 1;
    }
    for (let at = flushed[next]; at !== undefined; at = flushed[++next]) {
      if (at.value !== null) yield stateEntry(at.key, at.value);
    }
  }

  /** Looks whether a flush can be put, before the commit's transaction. @throws {SluiceError} `STATE_KEY_TOO_LONG` */
  check(writes: readonly StateWrite[]): void {
    for (const { operatorId, key } of writes) {
      if (key.length <= maxKeyBytes) continue;
      throw new SluiceError(
        'STATE_KEY_TOO_LONG',
        `a key of operator ${operatorId} must have at most ${maxKeyBytes} bytes; got ${key.length}. Refuse such records before they are keyed`,
        { fields: { job: this.#job, operator: operatorId, keyBytes: key.length } },
      );
    }
  }

  /** Lays a flush out, whose keys have been checked. Within a transaction, which gives numbers to operators that are new. */
  prepare(writes: readonly StateWrite[]): PreparedFlush {
    const prefixes = new Map(
      [...this.#names.ensure(new Set(writes.map(({ operatorId }) => operatorId)))].map(([id, prefix]) => [
        id,
        keyText(prefix),
      ]),
    );
    const entries = writes.map(({ operatorId, key, value }) => ({
      key: (prefixes.get(operatorId) ?? '') + keyText(key),
      value,
    }));
    return { parts: cutIntoParts(entries), bytes: partBytes(entries) };
  }

  /** Takes a flush: reads see it from now on. Its values must not change any more. @returns the parts to store, then to activate. */
  adopt(flush: PreparedFlush): readonly JournalPart[] {
    assert(this.#loaded === 'loaded', 'state is loaded before it is flushed');
    return this.#journal.add(flush.parts);
  }

  /** Writes a flush that has not been adopted yet to the store, and makes it take effect. Within a transaction; then `adopt`. */
  storeWhole(flush: PreparedFlush): () => void {
    const first = this.#journal.nextSequence;
    flush.parts.forEach((entries, index) => {
      this.#journal.store(first + index, entries);
    });
    return this.#journal.activate(first + flush.parts.length);
  }

  /** Writes an adopted part to the store, where it has no effect yet. Within a transaction. */
  storePart({ sequence, entries }: JournalPart): void {
    this.#journal.store(sequence, entries);
  }

  /** Makes the parts up to this one take effect in the store. Within a transaction; the returned call, after it. */
  activate(last: JournalPart): () => void {
    return this.#journal.activate(last.sequence + 1);
  }

  /** Deletes what an owner that died left of a flush. Within a transaction. */
  dropInactive(): void {
    this.#journal.dropInactive();
  }

  /**
   * Moves up to `maxEntries` of the oldest active part into the tree. Within a transaction, one call at a time.
   *
   * @param from the entry to go on at, in the part where the last call ended.
   * @returns `null` when nothing is left.
   */
  merge(from: number, maxEntries: number): MergeStep | null {
    const oldest = this.#journal.oldest();
    if (oldest === null) return null;
    const { state } = this.#environment;
    let index = from;
    for (let merged = 0; index < oldest.entries.length && merged < maxEntries; index++) {
      const entry = oldest.entries[index];
      if (entry === undefined || !this.#journal.isNewest(entry)) continue;
      const { key, value } = entry;
      const stateKey = Buffer.from(key, 'latin1');
      if (value === null) state.removeSync(stateKey);
      else state.putSync(stateKey, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
      merged += 1;
    }
    if (index < oldest.entries.length) return { next: index, done: () => undefined };
    return { next: 0, done: this.#journal.remove(oldest) };
  }

  /** Removes all state of the job. Within a transaction. */
  clear(): void {
    this.#journal.clear();
    const range = this.#names.jobRange();
    if (range === null) return;
    const keys = [...this.#environment.state.getKeys(range)].map((key) => Buffer.from(key));
    for (const key of keys) this.#environment.state.removeSync(key);
  }

  async *#scanTree(prefix: Buffer): AsyncIterable<StateEntry> {
    const end = endOf(prefix);
    let start = prefix;
    let exclusiveStart = false;
    for (;;) {
      const range = { start, end, exclusiveStart, limit: scanChunk };
      const chunk = await Promise.resolve(
        this.#environment.read('read state', () =>
          [...this.#environment.state.getRange(range)].map(({ key, value }) => ({
            key: Uint8Array.from(key),
            value: Uint8Array.from(value),
          })),
        ),
      );
      yield* chunk;
      const last = chunk.at(-1);
      if (last === undefined || chunk.length < scanChunk) return;
      start = Buffer.from(last.key);
      exclusiveStart = true;
    }
  }

  #stateKey(prefix: Buffer, key: Uint8Array): Buffer {
    if (key.length > maxKeyBytes) return Buffer.concat([prefix, key.subarray(0, maxKeyBytes + 1)]);
    prefix.copy(this.#key);
    this.#key.set(key, statePrefixBytes);
    return this.#key.subarray(0, statePrefixBytes + key.length);
  }
}

/** Behind the last key of an operator. */
function endOf(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end.writeUInt32BE(prefix.readUInt32BE(4) + 1, 4);
  return end;
}

function stateEntry(key: string, value: Uint8Array): StateEntry {
  return { key: Uint8Array.from(Buffer.from(key, 'latin1').subarray(statePrefixBytes)), value };
}
