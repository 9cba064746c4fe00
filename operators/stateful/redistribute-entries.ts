import type { KeyPlace } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';

/** How an operator's entries lie in its store. */
export interface EntryForm {
  /** Where its own watermarks are stored: shorter than any other name. */
  readonly watermarksName: Uint8Array;
  /** Of whom another entry is; `everywhere` for what every store must have. */
  readonly keyOf: ((entry: StateEntry) => Uint8Array | null) | 'everywhere';
  /** The watermarks of several stores as those of one. */
  readonly mergeWatermarks: (values: readonly Uint8Array[]) => Uint8Array;
}

/**
 * The entries of several stores as those of `count`, each in the store that its key belongs to, once; with what all of them have seen of the watermarks. Called for savepoints that are restored to another
 * number of tasks, by operators that file their entries otherwise than under their keys alone.
 */
export function redistributeEntries(
  stores: readonly (readonly StateEntry[])[],
  count: number,
  place: KeyPlace,
  { watermarksName, keyOf, mergeWatermarks }: EntryForm,
): readonly StateEntry[][] {
  const isMarks = ({ key }: StateEntry): boolean => key.length === watermarksName.length;
  const all = stores.flat();
  const placed = Array.from({ length: count }, () => new Map<string, StateEntry>());
  for (const entry of all) {
    if (isMarks(entry)) continue;
    const name = Buffer.from(entry.key).toString('latin1');
    const key = keyOf === 'everywhere' ? null : keyOf(entry);
    const to = key === null ? placed : placed.slice(place(key)).slice(0, 1);
    for (const store of to) store.set(name, entry);
  }
  const marks = all.filter(isMarks).map(({ value }) => Uint8Array.from(value));
  const own = marks.length === 0 ? [] : [{ key: watermarksName, value: mergeWatermarks(marks) }];
  return placed.map((entries) => [...entries.values(), ...own]);
}

/** The furthest that each partition was seen at; one that is idle in one of the lists only is not. */
export function furthestOf(lists: readonly (readonly PartitionWatermark[])[]): readonly PartitionWatermark[] {
  const [only, ...others] = lists;
  if (only !== undefined && others.length === 0) return only;
  const furthest = new Map<number, number>();
  for (const { partition, watermarkMs } of lists.flat()) {
    furthest.set(partition, Math.max(furthest.get(partition) ?? -Infinity, watermarkMs));
  }
  return [...furthest].sort(([a], [b]) => a - b).map(([partition, watermarkMs]) => ({ partition, watermarkMs }));
}
