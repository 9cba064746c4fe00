import { SluiceError } from '../../engine/error.ts';
import type { Aggregator } from '../aggregate/aggregator.ts';
import { StateBytes, StateWriter, type AggregateValue } from '../aggregate/state-bytes.ts';
import { readWatermarkList, writeWatermarkList } from '../stateful/watermark-list.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { OpenWindow } from './open-window.ts';

const formatVersion = 1;
/** Behind a key's bytes: a byte that no text contains, the scope, the window's start. */
const suffixBytes = 1 + 4 + 8;

/** Where the operator's own watermarks are stored; shorter than any window's name. */
export const watermarksName: Uint8Array = Uint8Array.of(0xff);

/** A stored window as it was written; `values` are the key's. */
export interface StoredWindow extends Pick<OpenWindow, 'scope' | 'startMs' | 'endMs' | 'records' | 'states' | 'phase'> {
  readonly key: Uint8Array;
  readonly values: readonly AggregateValue[];
}

/** A window's name in the store: the key as it is readable elsewhere, then scope and start, big-endian, so that a key's windows stand together in their order. */
export function windowName({ key, scope, startMs }: Pick<OpenWindow, 'key' | 'scope' | 'startMs'>): Uint8Array {
  const { bytes } = key;
  const name = new Uint8Array(bytes.length + suffixBytes);
  name.set(bytes);
  name[bytes.length] = 0xff;
  const view = new DataView(name.buffer);
  view.setInt32(bytes.length + 1, scope);
  // Counted from the least instant, so that earlier than the epoch is less.
  view.setBigUint64(bytes.length + 5, BigInt(startMs) + (1n << 63n));
  return name;
}

/** Writes windows: `u8 version · u8 aggregates · u8 phase · i32 scope · f64 start, end, records · u8 key parts · values · states`, little-endian. */
export class WindowWriter {
  readonly #aggregators: readonly Aggregator<unknown>[];
  readonly #writer = new StateWriter();

  constructor(aggregators: readonly Aggregator<unknown>[]) {
    this.#aggregators = aggregators;
  }

  /** The window's state as bytes; they depend on it alone. */
  write(window: OpenWindow): Uint8Array {
    const to = this.#writer;
    to.u8(formatVersion);
    to.u8(this.#aggregators.length);
    to.u8(window.phase === 'fired' ? 1 : 0);
    to.i32(window.scope);
    to.f64(window.startMs);
    to.f64(window.endMs);
    to.f64(window.records);
    to.u8(window.key.values.length);
    for (const value of window.key.values) to.value(value);
    this.#aggregators.forEach((aggregator, index) => aggregator.encode(window.states[index], to));
    return to.take();
  }
}

/**
 * Reads what a {@link WindowWriter} wrote.
 *
 * @throws {SluiceError} `STATE_FORMAT` when the bytes are of another version, of other aggregates, or cut off.
 */
export function readWindow(
  name: Uint8Array,
  bytes: Uint8Array,
  aggregators: readonly Aggregator<unknown>[],
): StoredWindow {
  const from = new StateBytes(bytes);
  return whole(() => {
    const version = from.u8();
    const count = from.u8();
    if (version !== formatVersion || count !== aggregators.length) {
      throw new RangeError(`version ${version} with ${count} aggregates`);
    }
    const phase = from.u8() === 1 ? 'fired' : 'open';
    const scope = from.i32();
    const [startMs, endMs, records] = [from.f64(), from.f64(), from.f64()];
    const parts = from.u8();
    const values = Array.from({ length: parts }, () => from.value());
    const states = aggregators.map((aggregator) => aggregator.decode(from));
    if (!from.isAtEnd) throw new RangeError('more than a window');
    const key = new Uint8Array(name.subarray(0, name.length - suffixBytes));
    return { key, values, scope, startMs, endMs, records, states, phase };
  }, aggregators.length);
}

/** Writes the watermarks that the operator has seen. */
export function writeWatermarks(watermarks: readonly PartitionWatermark[]): Uint8Array {
  const to = new StateWriter();
  to.u8(formatVersion);
  writeWatermarkList(to, watermarks);
  return to.take();
}

/** Reads what {@link writeWatermarks} wrote. @throws {SluiceError} `STATE_FORMAT` */
export function readWatermarks(bytes: Uint8Array): readonly PartitionWatermark[] {
  const from = new StateBytes(bytes);
  return whole(() => {
    const version = from.u8();
    if (version !== formatVersion) throw new RangeError(`version ${version}`);
    return readWatermarkList(from);
  }, 0);
}

function whole<T>(read: () => T, aggregates: number): T {
  try {
    return read();
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SluiceError(
      'STATE_FORMAT',
      `stored windows must have version ${formatVersion}, ${aggregates} aggregates, and be whole; got ${cause.message}: rebuild the state from the log`,
      { cause },
    );
  }
}
