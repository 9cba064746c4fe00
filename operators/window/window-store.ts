import type { ByteSlab } from '../../engine/record/column.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { StateEntry, StateWrite } from '../../engine/state/state-store.ts';
import type { Aggregator } from '../aggregate/aggregator.ts';
import type { AggregateValue } from '../aggregate/state-bytes.ts';
import type { OpenWindow, WindowKey } from './open-window.ts';
import { readWindow, windowName, WindowWriter } from './window-format.ts';

/**
 * The windows that are not over, by key, with what has changed about them since the last flush. All of them are in memory: any of them may be closed by the next
 * record, whatever its key. A key without windows is forgotten.
 */
export class WindowStore {
  readonly #operatorId: string;
  readonly #aggregators: readonly Aggregator<unknown>[];
  readonly #writer: WindowWriter;
  readonly #index = new KeyIndex();
  /** By slot of `#index`. */
  readonly #keys: (WindowKey | undefined)[] = [];
  #changed = new Set<OpenWindow>();
  /** Names in the store that no window has any more. */
  #removed: Uint8Array[] = [];
  #size = 0;

  constructor(operatorId: string, aggregators: readonly Aggregator<unknown>[]) {
    this.#operatorId = operatorId;
    this.#aggregators = aggregators;
    this.#writer = new WindowWriter(aggregators);
  }

  /** How many windows there are. */
  get size(): number {
    return this.#size;
  }

  /** Every window, in no order. */
  *all(): Generator<OpenWindow> {
    for (const key of this.#keys) if (key !== undefined) yield* key.windows;
  }

  /** The key's windows; `null` where it has none. */
  find(slab: ByteSlab, row: number): WindowKey | null {
    const slot = this.#index.find(slab, row);
    return slot < 0 ? null : (this.#keys[slot] ?? null);
  }

  /** The key, made where it is new; it is kept only with a window, so one is to be opened at once. */
  make(slab: ByteSlab, row: number, values: readonly AggregateValue[]): WindowKey {
    const bytes = new Uint8Array(slab.data.subarray(slab.offsets[row], slab.offsets[row + 1]));
    return this.#makeKey(bytes, values);
  }

  #makeKey(bytes: Uint8Array, values: readonly AggregateValue[]): WindowKey {
    const slot = this.#index.findOrInsertKey(bytes);
    return (this.#keys[slot] ??= { slot, bytes, values, windows: [] });
  }

  /** Opens an empty window. */
  open(key: WindowKey, scope: number, startMs: number, endMs: number): OpenWindow {
    const window: OpenWindow = {
      key,
      scope,
      startMs,
      endMs,
      records: 0,
      states: this.#aggregators.map((aggregator) => aggregator.create()),
      phase: 'open',
      dueMs: Infinity,
      queuedMs: Infinity,
      isLive: true,
    };
    this.#insert(window);
    return window;
  }

  /** Says that the window is to be written with the next flush. */
  markChanged(window: OpenWindow): void {
    this.#changed.add(window);
  }

  /** Moves a window's start, which is part of its name. */
  moveStart(window: OpenWindow, startMs: number): void {
    this.#removed.push(windowName(window));
    window.startMs = startMs;
    window.key.windows.sort(byStart);
  }

  /** Forgets a window, and its key with the last one. */
  remove(window: OpenWindow): void {
    const { key } = window;
    window.isLive = false;
    key.windows.splice(key.windows.indexOf(window), 1);
    this.#changed.delete(window);
    this.#removed.push(windowName(window));
    this.#size--;
    if (key.windows.length > 0) return;
    this.#keys[key.slot] = undefined;
    this.#index.delete(key.slot);
  }

  /** Takes a stored window over. @throws {SluiceError} `STATE_FORMAT` */
  load({ key: name, value }: StateEntry): OpenWindow {
    const { key: bytes, values, ...stored } = readWindow(name, value, this.#aggregators);
    const key = this.#makeKey(bytes, values);
    const window: OpenWindow = { ...stored, key, dueMs: Infinity, queuedMs: Infinity, isLive: true };
    this.#insert(window);
    return window;
  }

  /** What has changed since the last call; a name that is free now may belong to another window again, so deletions come first. */
  takeChanges(): readonly StateWrite[] {
    const operatorId = this.#operatorId;
    const writes: StateWrite[] = this.#removed.map((key) => ({ operatorId, key, value: null }));
    for (const window of this.#changed) {
      writes.push({ operatorId, key: windowName(window), value: this.#writer.write(window) });
    }
    this.dropChanges();
    return writes;
  }

  /** Forgets what has changed. */
  dropChanges(): void {
    this.#changed = new Set();
    this.#removed = [];
  }

  #insert(window: OpenWindow): void {
    const { windows } = window.key;
    const isLast = windows.length === 0 || byStart(windows[windows.length - 1] ?? window, window) <= 0;
    windows.push(window);
    if (!isLast) windows.sort(byStart);
    this.#size++;
  }
}

function byStart(a: OpenWindow, b: OpenWindow): number {
  return a.startMs - b.startMs || a.scope - b.scope;
}
