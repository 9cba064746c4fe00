import { describe, expect, it } from 'vitest';
import { numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import type { RollingDefinition } from './rolling-definition.ts';
import { RollingLogic } from './rolling-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);
const sum = { function: 'sum', input: 'amount', where: null, delayMs: 0, current: 'exclude', n: null } as const;
const definition: RollingDefinition = {
  operatorId: 'op',
  key: ['card'],
  aggregates: [{ ...sum, name: 'total', overMs: 100, halfLifeMs: null }],
  allowedLatenessMs: 20,
};

/** Records with the watermark that each finds. */
function batchOf(rows: readonly (readonly [card: string, t: number, w?: number])[]): RecordBatch {
  const batch = recordBatch(schema, [utf8ColumnOf(rows.map(([card]) => card)), numberColumnOf(rows.map(() => 1))], {
    partition: 0,
    offset: 0,
    eventTimesMs: Float64Array.from(rows, ([, t]) => t),
  });
  rows.forEach(([, , w = -Infinity], row) => (batch.watermarksMs[row] = w));
  return batch;
}

const keys = (count: number, t: number): [string, number][] =>
  Array.from({ length: count }, (_, i) => [`card ${i}`, t]);
const opened = (): RollingLogic =>
  new RollingLogic(definition, schema, { state: 'empty', watermarks: new PartitionWatermarks() });

describe('a rolling operator', () => {
  it('forgets a key exactly when the watermark is its windows and the allowed lateness past its newest row', () => {
    const logic = opened();
    logic.apply(
      batchOf([
        ['old', 0],
        ['other', 50],
      ]),
    );
    for (let look = 0; look < 4; look++) logic.apply(batchOf([['other', 50, 119.9]]));
    expect(logic.keyCount).toBe(2);
    logic.takeChanges();
    for (let look = 0; look < 4; look++) logic.apply(batchOf([['other', 50, 120]]));
    expect(logic.keyCount).toBe(1);
    const writes = logic
      .takeChanges()
      .map(({ operatorId, key, value }) => [operatorId, Buffer.from(key).toString(), value === null]);
    expect(writes).toEqual([
      ['op', 'old', true],
      ['op', 'other', false],
    ]);
  });

  it('looks at one key after each batch, and at one more for each eight of its records', () => {
    const logic = opened();
    logic.apply(batchOf(keys(100, 0)));
    const left = [1, 7, 8, 16].map((records) => {
      logic.apply(batchOf(Array.from({ length: records }, () => ['last', 900, 900] as const)));
      return logic.keyCount;
    });
    // 101 with the one that the records are of; what is looked at then is 1, 1, 2 and 3 keys.
    expect(left).toEqual([100, 99, 97, 94]);
    for (let batch = 0; batch < 200; batch++) logic.apply(batchOf([['last', 900, 900]]));
    expect(logic.keyCount).toBe(1);
  });

  it('deletes in the store what it has forgotten, or has nothing left of, and what came back is written again', () => {
    const logic = opened();
    logic.apply(
      batchOf([
        ['a', 0],
        ['b', 0],
        ['b', 500],
      ]),
    );
    logic.apply(
      batchOf([
        ['b', 500, 499],
        ['b', 500, 499],
        ['b', 500, 499],
      ]),
    );
    for (let look = 0; look < 4; look++) logic.apply(batchOf([['b', 500, 499]]));
    logic.apply(batchOf([['a', 600, 499]]));
    const writes = logic.takeChanges().map(({ key, value }) => [Buffer.from(key).toString(), value === null]);
    expect(writes[0]).toEqual(['a', true]);
    expect(new Set(writes.slice(1).map(([name]) => name))).toEqual(new Set(['a', 'b']));
    expect(logic.takeChanges()).toEqual([]);
    logic.apply(batchOf([['a', 601, 499]]));
    logic.dropChanges();
    expect(logic.takeChanges()).toEqual([]);
  });
});
