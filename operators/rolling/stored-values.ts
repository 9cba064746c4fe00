import { strict as assert } from 'node:assert';
import { isValid } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { KeyIndex } from '../../engine/state/key-index.ts';
import { encodeKeys } from '../key/encode-keys.ts';
import type { StoredColumn } from './rolling-layout.ts';

/**
 * The values of a stored column over a batch: NaN where the input is null or the condition does not hold. Called once a column and batch.
 *
 * @param dictionary gives texts their codes.
 */
export function storedValues(batch: RecordBatch, stored: StoredColumn, dictionary: KeyIndex): Float64Array {
  const input = stored.input === null ? null : columnOf(batch, stored.input);
  const where = stored.where === null ? null : columnOf(batch, stored.where);
  assert(where?.kind !== 'utf8', 'a condition must be a boolean column');
  const values = new Float64Array(batch.rowCount);
  const slab = stored.form === 'code' && stored.input !== null ? encodeKeys(batch, [stored.input]).slab : null;
  for (let row = 0; row < batch.rowCount; row++) {
    const holds = where === null || (isValid(where, row) && where.values[row] === 1);
    if (!holds || (input !== null && !isValid(input, row))) values[row] = NaN;
    else if (slab !== null) values[row] = dictionary.findOrInsert(slab, row);
    else values[row] = input === null ? 1 : input.kind === 'number' ? (input.values[row] ?? NaN) : NaN;
  }
  return values;
}
