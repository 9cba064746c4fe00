import { SluiceError } from '../../engine/error.ts';
import { StateBytes, StateWriter } from '../aggregate/state-bytes.ts';
import type { EntryFormat } from '../keyed/keyed-entries.ts';

/** What a key has beside its entry's place: its state as bytes, when that expires, and its timers. Mutable. */
export interface ProcessEntry {
  readonly key: readonly (number | string)[];
  /** `null` for none. */
  bytes: Uint8Array | null;
  /** Of the codec that wrote the bytes. */
  version: number;
  /** The watermark at which the state is forgotten; `Infinity` for never, or where there is none. */
  expiresMs: number;
  /** Ascending, each once. */
  timersMs: readonly number[];
}

const formatVersion = 1;

/**
 * A key's state as it is stored: `u8 version · u8 key parts · values · u32 timers · f64… · f64 expiry · u8 whether there is state [· u32 its version · u32 size · bytes]`, little-endian.
 */
export const processFormat: EntryFormat<ProcessEntry> = {
  encode({ key, bytes, version, expiresMs, timersMs }) {
    const to = new StateWriter();
    to.u8(formatVersion);
    to.u8(key.length);
    for (const value of key) to.value(value);
    to.u32(timersMs.length);
    for (const timerMs of timersMs) to.f64(timerMs);
    to.f64(expiresMs);
    to.u8(bytes === null ? 0 : 1);
    if (bytes !== null) {
      to.u32(version);
      to.u32(bytes.length);
      to.raw(bytes);
    }
    return to.take();
  },
  decode(stored) {
    const from = new StateBytes(stored);
    try {
      const found = from.u8();
      if (found !== formatVersion) throw new RangeError(`version ${found}`);
      const key = Array.from({ length: from.u8() }, () => from.value());
      const timersMs = Array.from({ length: from.u32() }, () => from.f64());
      const expiresMs = from.f64();
      if (from.u8() === 0) return { key, bytes: null, version: 0, expiresMs, timersMs };
      const version = from.u32();
      return { key, bytes: from.raw(from.u32()), version, expiresMs, timersMs };
    } catch (cause) {
      if (!(cause instanceof RangeError)) throw cause;
      throw new SluiceError(
        'STATE_FORMAT',
        `the stored state of a key must have version ${formatVersion} and be whole; got ${cause.message}: rebuild the state from the log`,
        { cause },
      );
    }
  },
};
