import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { KeyIndex } from '../../engine/state/key-index.ts';
import { encodeKeys } from './encode-keys.ts';

/**
 * The slot of each row's key, -1 for a null key. Called once a batch by whoever keeps state by slots.
 *
 * @param keys gets a slot for each key that it does not have.
 * @param missing is given these slots, in order.
 */
export function locateKeys(
  batch: RecordBatch,
  names: readonly string[],
  keys: KeyIndex,
  missing: number[],
): Int32Array {
  const { slab, present } = encodeKeys(batch, names);
  const slots = new Int32Array(batch.rowCount);
  for (let row = 0; row < batch.rowCount; row++) {
    if (present !== null && present[row] === 0) {
      slots[row] = -1;
      continue;
    }
    const sizeBefore = keys.size;
    const slot = keys.findOrInsert(slab, row);
    if (keys.size > sizeBefore) missing.push(slot);
    slots[row] = slot;
  }
  return slots;
}
