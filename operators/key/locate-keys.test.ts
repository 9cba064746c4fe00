import { describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import { locateKeys } from './locate-keys.ts';

const schema = new Schema([{ name: 'card', type: 'string', presence: 'optional' }]);

function batchOf(...cards: readonly (string | null)[]): RecordBatch {
  return recordBatch(schema, [utf8ColumnOf(cards)], {
    partition: 0,
    offset: 0,
    eventTimesMs: new Float64Array(cards.length),
  });
}

describe('the slots of a batch’s keys', () => {
  it('are the same for the same key, new ones for new keys, which are told, and none for no key', () => {
    const keys = new KeyIndex();
    const missing: number[] = [];
    const first = locateKeys(batchOf('a', null, 'b', 'a'), ['card'], keys, missing);
    expect([...first]).toEqual([0, -1, 1, 0]);
    expect(missing).toEqual([0, 1]);
    const later: number[] = [];
    expect([...locateKeys(batchOf('c', 'b', null, 'c'), ['card'], keys, later)]).toEqual([2, 1, -1, 2]);
    expect(later).toEqual([2]);
    expect(keys.size).toBe(3);
  });

  it('are given where every row has a key, and where there is no row', () => {
    const keys = new KeyIndex();
    expect([...locateKeys(batchOf('a', 'b'), ['card'], keys, [])]).toEqual([0, 1]);
    expect([...locateKeys(batchOf(), ['card'], keys, [])]).toEqual([]);
  });
});
