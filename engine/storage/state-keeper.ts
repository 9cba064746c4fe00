import { SluiceError, messageOf } from '../error.ts';
import type { Claim } from './claims.ts';
import type { JournalPart } from './state-journal.ts';
import type { PreparedFlush, StateTable } from './state-table.ts';
import type { Storage } from './storage.ts';

/** Where the journal may grow to, when its owner says nothing else. */
export const defaultJournalBytes: number = 48 * 1024 * 1024;
/** A journal so many times as large makes flushes wait until it is smaller. */
const waitAboveTimes = 4;
/** A flush up to this size is stored with the commit that it came in. */
const inlineBytes = 128 * 1024;
/** Keys moved to the tree in one transaction: 2 ms of the event loop; then records have their turn. */
const keysAtOnce = 256;
const pauseMs = 4;
const fullPauseMs = 500;

/** A flush on its way to the store, and what makes it take effect there. */
interface Staged {
  readonly parts: readonly JournalPart[];
  /** Within the transaction in which the flush takes effect. */
  readonly activate: () => void;
  /** After it. */
  readonly activated: () => void;
}

/**
 * Stores a job's flushes and merges them, a few milliseconds at a time beside the job's batches, for as long as the job is held. A flush takes effect as
 * a whole; until then, the offsets that the stored state reflects are those of the flush before, which a restart replays from. The
 * journal is merged only down to a size, since what is flushed anew in the meantime need never be merged at all.
 */
export class StateKeeper {
  readonly #storage: Storage;
  readonly #table: StateTable;
  readonly #claim: Claim;
  readonly #journalBytes: number;
  readonly #ended: AbortController = new AbortController();
  readonly #staged: Staged[] = [];
  #storedParts = 0;
  #mergeFrom = 0;
  #running: Promise<void> | null = null;
  #failure: Error | null = null;

  constructor(storage: Storage, table: StateTable, claim: Claim, journalBytes: number) {
    this.#storage = storage;
    this.#table = table;
    this.#claim = claim;
    this.#journalBytes = journalBytes;
  }

  /** Whether a flush is stored with its commit: it is small, and none that came before it is still on its way. */
  isInline(flush: PreparedFlush): boolean {
    return this.#staged.length === 0 && flush.bytes <= Math.min(inlineBytes, this.#journalBytes);
  }

  /** Stores a flush that the table has adopted, and lets it take effect. Returns at once. */
  stage(staged: Staged): void {
    this.#staged.push(staged);
    this.#wake();
  }

  /** Called after a flush was stored with its commit: there may be something to merge. */
  flushed(): void {
    this.#wake();
  }

  /** Resolves when there is room for another flush: at once, mostly. @throws {SluiceError} what ended the keeping. */
  async room(): Promise<void> {
    while (this.#isFull() && this.#running !== null) await this.#storage.clock.sleep(1);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Resolves when every flush so far has taken effect in the store. @throws {SluiceError} what ended the keeping. */
  async settled(): Promise<void> {
    while (this.#staged.length > 0 && this.#running !== null) await this.#storage.clock.sleep(1);
    if (this.#failure !== null) throw this.#failure;
  }

  /** Stores what was flushed, if the disk takes it, and ends. What is not merged stays in the journal. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#running;
  }

  #wake(): void {
    if (this.#running !== null || this.#failure !== null) return;
    this.#running = this.#run()
      .catch((thrown: unknown) => {
        this.#failure = thrown instanceof Error ? thrown : new Error(messageOf(thrown));
      })
      .finally(() => {
        this.#running = null;
      });
  }

  async #run(): Promise<void> {
    const { clock } = this.#storage;
    for (;;) {
      await clock.sleep(this.#isFull() || this.#staged.length > 1 ? 0 : pauseMs, this.#ended.signal);
      try {
        if (!this.#step()) return;
      } catch (thrown) {
        // The job's own commits meet a full disk too, and say so. Once the job has ended, nobody will make space for this.
        if (!(thrown instanceof SluiceError) || thrown.retryable !== 'transient') throw thrown;
        if (this.#ended.signal.aborted) return;
        await clock.sleep(fullPauseMs, this.#ended.signal);
      }
    }
  }

  /** Does a little of what is to be done. @returns whether there may be more. */
  #step(): boolean {
    const staged = this.#staged[0];
    if (staged !== undefined) return this.#store(staged);
    if (this.#ended.signal.aborted || this.#table.unmergedBytes <= this.#journalBytes) return false;
    const merged = this.#write('merge state', () => this.#table.merge(this.#mergeFrom, keysAtOnce));
    if (merged === null) return false;
    merged.done();
    this.#mergeFrom = merged.next;
    return true;
  }

  #store(staged: Staged): boolean {
    const part = staged.parts[this.#storedParts];
    const last = staged.parts.at(-1);
    const isWhole = part === undefined || part === last;
    const activated = this.#write('store state', () => {
      if (part !== undefined) this.#table.storePart(part);
      if (!isWhole) return () => undefined;
      staged.activate();
      return last === undefined ? () => undefined : this.#table.activate(last);
    });
    if (activated === null) return false;
    activated();
    this.#storedParts += 1;
    if (!isWhole) return true;
    staged.activated();
    this.#staged.shift();
    this.#storedParts = 0;
    return true;
  }

  /** A transaction of the job's owner; `null` when another has taken over, who keeps the state now. */
  #write<T>(action: string, body: () => T): T | null {
    const { environment, claims } = this.#storage;
    return environment.write(action, () => (claims.holds(this.#claim) ? body() : null));
  }

  #isFull(): boolean {
    return this.#table.unmergedBytes > this.#journalBytes * waitAboveTimes;
  }
}
