import { map } from 'rxjs';
import { describe } from 'vitest';
import { isValid, numberColumn, valueAt } from '../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws } from '../testing/laws.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { inputColumn, type JoinDefinition } from './join-definition.ts';
import { JoinLogic } from './join-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'isLeft', type: 'boolean', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);
const withInput = schema.with({ name: inputColumn, type: 'long', presence: 'optional' });

const base: JoinDefinition = {
  operatorId: 'laws',
  kind: 'inner',
  left: { input: 0, key: ['card'], columns: ['card', 'amount'] },
  right: { input: 1, key: ['card'], columns: ['isLeft', 'amount'] },
  key: ['key'],
  beforeMs: 30,
  afterMs: 15,
  allowedLatenessMs: 10,
  delaysMs: [20, 20],
};

/** The law's rows as records of two inputs: what the field says, in a partition of that input. */
function asInputs(batch: RecordBatch): RecordBatch {
  const isLeft = columnOf(batch, 'isLeft');
  const inputs = Float64Array.from({ length: batch.rowCount }, (_, row) => (valueAt(isLeft, row) === 1 ? 0 : 1));
  const partitions = batch.partitions.map((partition, row) => partition * 2 + (inputs[row] ?? 0));
  const present = Uint8Array.from(inputs, (_, row) => (isValid(isLeft, row) ? 1 : 0));
  return withColumns({ ...batch, partitions }, withInput, [numberColumn(inputs, present)]);
}

function underLaws(change: Partial<JoinDefinition>): OperatorUnderLaws {
  const right = { ...base.right, columns: ['isLeft'] };
  const definition = { ...base, right, ...change };
  return {
    schema,
    key: ['card'],
    delayMs: 20,
    // The two records of a pair may come in any order.
    arrivalOrder: 'does not matter',
    inputs: { count: 2, of: ({ isLeft: side }) => (side === true || side === 1 ? 0 : 1) },
    open: (start, state) => {
      const logic = new JoinLogic(definition, withInput, null, start);
      return {
        steps: [{ operator: map(asInputs), fate: 'keeps' }],
        emit: emitWith(logic, state),
        logics: [logic],
      };
    },
  };
}

// Pairs come out as soon as both are there, so a quiet partition does not even hold them back.
describeLaws('inner joins', () => underLaws({}));

// What has no partner waits for the least watermark of all partitions.
describe.each(['left', 'right', 'full'] as const)('joins that let records out alone', (kind) => {
  describeLaws(`${kind} joins`, () => ({ ...underLaws({ kind }), waitsFor: 'all partitions' }), { streams: 350 });
});
