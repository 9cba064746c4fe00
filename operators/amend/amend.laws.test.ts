import { map } from 'rxjs';
import { AmendedRecords } from '../../engine/execution/amended-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { deriveColumns, derivedSchema } from '../derive/derive.ts';
import { RollingLogic } from '../rolling/rolling-logic.ts';
import type { RollingAggregate, RollingDefinition } from '../rolling/rolling-definition.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import { describeLaws } from '../testing/laws.ts';
import type { AmendDefinition } from './amend-definition.ts';
import { AmendLogic } from './amend-logic.ts';
import { amendmentColumns } from './amendment-rows.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
]);

function aggregate(name: string, more: Partial<RollingAggregate>): RollingAggregate {
  return {
    name,
    function: 'count',
    input: null,
    where: null,
    overMs: 120,
    delayMs: 0,
    current: 'exclude',
    n: null,
    halfLifeMs: null,
    ...more,
  };
}

const rolling = (operatorId: string, aggregates: readonly RollingAggregate[]): RollingDefinition => {
  return { operatorId, key: ['card'], aggregates, allowedLatenessMs: 15 };
};
const first = rolling('first', [
  aggregate('count', { current: 'include', overMs: 40 }),
  aggregate('avg', { function: 'avg', input: 'amount', delayMs: 30 }),
  aggregate('last', { function: 'last', input: 'place' }),
]);
const second = rolling('second', [aggregate('large', { where: 'isLarge' })]);
const afterFirst = new RollingLogic(first, schema, { state: 'empty', watermarks: new PartitionWatermarks() })
  .outputSchema;
const derived = [{ name: 'isLarge', expression: compileExpression('amount > avg', afterFirst) }];
const afterDerived = derivedSchema(derived, afterFirst);
const afterSecond = new RollingLogic(second, afterDerived, { state: 'empty', watermarks: new PartitionWatermarks() })
  .outputSchema;

const features = ['count', 'avg', 'last', 'large'];
const definition: AmendDefinition = {
  operatorId: 'amendments',
  key: ['card'],
  identity: ['card'],
  features,
  watched: features.map((column) => ({ column, tolerance: { kind: 'relative', share: 0.1 } })),
  withinMs: 100,
  steps: [
    { kind: 'rolling', definition: first },
    { kind: 'derive', columns: derived },
    { kind: 'rolling', definition: second },
  ],
  closedBy: 'partition',
};

/** What an amendment says but for positions, which a stream in another order cannot share. */
const placeless: ReadonlySet<string> = new Set([amendmentColumns.causePartition, amendmentColumns.causeOffset]);

describeLaws('amend', () => ({
  schema,
  key: ['card'],
  delayMs: 20,
  arrivalOrder: 'matters within a key',
  open: (start, state) => {
    const amended = new AmendedRecords();
    const one = new RollingLogic(first, schema, start);
    const two = new RollingLogic(second, afterDerived, start);
    const amend = new AmendLogic(definition, schema, afterSecond, start, amended);
    // The amendments themselves are the answers that are compared.
    const told = (batch: RecordBatch): RecordBatch => {
      const amendments = amended.take();
      if (amendments === null) return selectRows(batch, new Int32Array(0));
      const fields = amendments.schema.fields.filter(({ name }) => !placeless.has(name));
      const columns = amendments.columns.filter((_, at) => !placeless.has(amendments.schema.fields[at]?.name ?? ''));
      return { ...amendments, schema: new Schema(fields), columns };
    };
    return {
      steps: [
        { operator: applyLogic(one, state), fate: 'keeps' },
        { operator: map(deriveColumns(derived, afterFirst)), fate: 'keeps' },
        { operator: applyLogic(two, state), fate: 'keeps' },
        { operator: applyLogic(amend, state), fate: 'keeps' },
        { operator: map(told), fate: 'keeps' },
      ],
      logics: [one, two, amend],
    };
  },
}));
