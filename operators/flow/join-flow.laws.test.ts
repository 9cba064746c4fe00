import { concatMap, map } from 'rxjs';
import { describe, it } from 'vitest';
import { isValid, numberColumn, valueAt } from '../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { inputColumn, joinFields, type JoinDefinition, type JoinKind, type JoinSide } from '../join/join-definition.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws, laws } from '../testing/laws.ts';
import { emittedOf } from './emit-flow.ts';
import { InputFlow } from './input-flow.ts';
import { JoinFlow, type JoinInput } from './join-flow.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'isFirst', type: 'boolean', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);
const number: Field = { name: inputColumn, type: 'long', presence: 'optional' };
const withInput = schema.with(number);
const own: readonly string[] = ['card', 'amount'];
const fieldsOf = (name: string): readonly Field[] =>
  own.map((field): Field => ({
    name: `${name}.${field}`,
    type: field === 'card' ? 'string' : 'double',
    presence: 'optional',
  }));

/** The law's rows as records of three inputs: what the fields say, in a partition of that input. */
function asInputs(batch: RecordBatch): RecordBatch {
  const [isFirst, amount] = [columnOf(batch, 'isFirst'), columnOf(batch, 'amount')];
  const inputs = Float64Array.from({ length: batch.rowCount }, (_, row) => {
    if (valueAt(isFirst, row) === 1) return 0;
    return Math.abs(Math.trunc(Number(valueAt(amount, row) ?? 0))) % 2 === 0 ? 1 : 2;
  });
  const partitions = batch.partitions.map((partition, row) => partition * 3 + (inputs[row] ?? 0));
  const present = Uint8Array.from(inputs, (_, row) => (isValid(isFirst, row) ? 1 : 0));
  return withColumns({ ...batch, partitions }, withInput, [numberColumn(inputs, present)]);
}

const sideOf = (input: number, name: string, columns: readonly string[]): JoinSide => ({
  input,
  key: [`${name}.card`],
  columns,
});
const columnsOf = (...names: readonly string[]): readonly string[] =>
  names.flatMap((name) => fieldsOf(name).map((field) => field.name));

/** (a ⋈ b) ⋈ c, all by card. */
function underLaws(first: JoinKind, second: JoinKind): OperatorUnderLaws {
  const common = { key: ['card'], allowedLatenessMs: 10 };
  const ab: JoinDefinition = {
    ...common,
    operatorId: 'ab',
    kind: first,
    left: sideOf(0, 'a', columnsOf('a')),
    right: sideOf(1, 'b', columnsOf('b')),
    beforeMs: 30,
    afterMs: 15,
    delaysMs: [20, 20],
  };
  const abc: JoinDefinition = {
    ...common,
    operatorId: 'abc',
    kind: second,
    left: sideOf(0, 'a', columnsOf('a', 'b')),
    right: sideOf(1, 'c', columnsOf('c')),
    beforeMs: 10,
    afterMs: 25,
    delaysMs: [Infinity, 20],
  };
  const abSchema = new Schema([number, ...fieldsOf('a'), ...fieldsOf('b')]);
  const abcSchema = new Schema([number, ...joinFields(ab, abSchema), ...fieldsOf('c')]);
  return {
    schema,
    key: ['card'],
    delayMs: 20,
    arrivalOrder: 'does not matter',
    open: (start, state) => {
      const inputOf = (input: number, name: string): JoinInput => ({
        node: new InputFlow({ input, inputCount: 3, columns: own, schema: new Schema(fieldsOf(name)) }),
        gives: 'records',
        partitionOf: (partition) => Math.floor(partition / 3),
      });
      const joined = new JoinFlow(
        {
          definition: ab,
          condition: null,
          schema: abSchema,
          left: inputOf(0, 'a'),
          right: inputOf(1, 'b'),
          outputs: 'results and marks',
          rows: 'numbered',
        },
        start,
        state,
      );
      const left: JoinInput = { node: joined, gives: 'results', partitionOf: () => 0 };
      const chain = new JoinFlow(
        {
          definition: abc,
          condition: null,
          schema: abcSchema,
          left,
          right: inputOf(2, 'c'),
          outputs: 'results',
          rows: 'as they are',
        },
        start,
        state,
      );
      return {
        steps: [{ operator: map(asInputs), fate: 'keeps' }],
        emit: concatMap(async (batch: RecordBatch) => emittedOf(await chain.run(batch), batch, 'results')),
        logics: chain.logics,
      };
    },
  };
}

// Results come out as soon as all three are there, so they keep every law.
describeLaws('chains of inner joins', () => underLaws('inner', 'inner'));

// As for one outer join: what has no partner waits for the least watermark of all partitions, which a quiet one holds back, and which the order of the inputs moves.
const closing = laws.filter(({ name }) => !/other partitions|goes quiet|another order/.test(name));

describe.each([
  ['left', 'left'],
  ['full', 'right'],
] as const)('the laws of operators: a %s join behind a %s join', (second, first) => {
  it.each(closing)(
    'holds: $name',
    async ({ hold }) => {
      await hold(underLaws(first, second), 350);
    },
    180_000,
  );
});
