import type { KeptRow } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { keptWatermarks } from '../stateful/kept-watermarks.ts';
import { suffixBytes, watermarksName } from './keyed-entries.ts';
import { queryScope, readScopedWatermarks } from './scoped-watermarks.ts';

/**
 * How an entry that `KeyedEntries` stored reads, for `sluice state`: the watermarks that the operator has seen, or what it has of a key.
 *
 * @param read makes rows of a key's stored state.
 */
export function keptEntry(
  entry: StateEntry,
  read: (state: Uint8Array) => readonly { readonly eventTimeMs: number | null; readonly values: KeptRow['values'] }[],
): readonly KeptRow[] {
  const { key, value } = entry;
  if (key.length === watermarksName.length) {
    return [keptWatermarks(readScopedWatermarks(new Uint8Array(value)))];
  }
  const bytes = new Uint8Array(key.subarray(0, key.length - suffixBytes));
  const scope = new DataView(key.buffer, key.byteOffset, key.byteLength).getInt32(bytes.length + 1);
  return read(new Uint8Array(value)).map(({ eventTimeMs, values }) => {
    return { key: bytes, eventTimeMs, values: { partition: scope === queryScope ? null : scope, ...values } };
  });
}
