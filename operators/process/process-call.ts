import type { Field } from '../../engine/record/schema.ts';
import { cellsOf, type Cell } from '../row/output-rows.ts';
import type { Row } from '../row/row-view.ts';
import type { KeyState, KeyTimers, ProcessContext } from './process-definition.ts';
import type { ProcessEntry } from './process-format.ts';
import type { StateCodec } from './state-codec.ts';

/** Where a call stands. */
export interface CallPlace {
  readonly eventTimeMs: number;
  readonly watermarkMs: number;
  /** The timer that fires; `null` for a record. */
  readonly timerMs: number | null;
}

/**
 * What a person's function does to its key, kept apart until it has returned: then {@link ProcessCall.apply} makes it so, and where it threw, nothing was done. One object for all calls.
 */
export class ProcessCall<State> implements ProcessContext<State, Row> {
  readonly #codec: StateCodec<State>;
  readonly #ttlMs: number | null;
  #entry: ProcessEntry = { key: [], bytes: null, version: 0, expiresMs: Infinity, timersMs: [] };
  #place: CallPlace = { eventTimeMs: 0, watermarkMs: -Infinity, timerMs: null };
  /** `undefined`: as the entry has it. */
  #bytes: Uint8Array | null | undefined;
  #timersMs: readonly number[] = [];
  #rows: Cell[][] = [];
  readonly state: KeyState<State>;
  readonly timers: KeyTimers;
  /** As the others, it may be taken out of its object, as in `({ state, emit }) => …`. */
  readonly emit: (row: Row) => void;

  constructor(codec: StateCodec<State>, outputs: readonly Field[], ttlMs: number | null) {
    this.#codec = codec;
    this.#ttlMs = ttlMs;
    this.state = {
      get: () => this.#get(),
      set: (state) => void (this.#bytes = codec.encode(state)),
      clear: () => void (this.#bytes = null),
    };
    this.emit = (row) => void this.#rows.push(cellsOf(outputs, row));
    this.timers = {
      set: (atMs) => this.#setTimer(atMs),
      delete: (atMs) => void (this.#timersMs = this.#timersMs.filter((timerMs) => timerMs !== atMs)),
    };
  }

  get key(): readonly (number | string)[] {
    return this.#entry.key;
  }

  get eventTimeMs(): number {
    return this.#place.eventTimeMs;
  }

  get watermarkMs(): number {
    return this.#place.watermarkMs;
  }

  /** The rows that were given out, without the key. */
  get rows(): readonly (readonly Cell[])[] {
    return this.#rows;
  }

  /** Begins a call for a key. A timer that fires is no longer there. */
  begin(entry: ProcessEntry, place: CallPlace): void {
    const { timerMs } = place;
    this.#entry = entry;
    this.#place = place;
    this.#bytes = undefined;
    this.#timersMs = timerMs === null ? entry.timersMs : entry.timersMs.filter((otherMs) => otherMs !== timerMs);
    this.#rows = [];
  }

  /** Makes what the function did so. @returns whether the key has changed. */
  apply(): 'changed' | 'as before' {
    const entry = this.#entry;
    if (this.#bytes === undefined && this.#timersMs === entry.timersMs) return 'as before';
    entry.timersMs = this.#timersMs;
    if (this.#bytes === undefined) return 'changed';
    const lived = entry.bytes !== null;
    entry.bytes = this.#bytes;
    entry.version = this.#codec.version;
    if (this.#bytes === null || this.#ttlMs === null) {
      entry.expiresMs = Infinity;
    } else {
      // An older record that sets the state does not shorten its life.
      const expiresMs = this.#place.eventTimeMs + this.#ttlMs;
      entry.expiresMs = lived ? Math.max(entry.expiresMs, expiresMs) : expiresMs;
    }
    return 'changed';
  }

  #get(): State | null {
    if (this.#bytes !== undefined)
      return this.#bytes === null ? null : this.#codec.decode(this.#bytes, this.#codec.version);
    const { bytes, version } = this.#entry;
    return bytes === null ? null : this.#codec.decode(bytes, version);
  }

  #setTimer(atMs: number): void {
    const { timerMs } = this.#place;
    if (!Number.isSafeInteger(atMs)) throw new RangeError('a timer must be at whole milliseconds since the epoch');
    if (timerMs !== null && atMs <= timerMs) throw new RangeError('a timer that a timer sets must be later than it');
    if (this.#timersMs.includes(atMs)) return;
    this.#timersMs = [...this.#timersMs, atMs].sort((a, b) => a - b);
  }
}
