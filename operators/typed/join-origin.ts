import { map } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { numberColumn } from '../../engine/record/column.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import { derivedSchema, type DerivedColumn } from '../derive/derive.ts';
import type { FlowNode } from '../flow/flow.ts';
import { JoinFlow } from '../flow/join-flow.ts';
import { StepFlow } from '../flow/pipe-flow.ts';
import { inputColumn, joinFields, type JoinDefinition, type JoinKind, type JoinSide } from '../join/join-definition.ts';
import type { ErrorPolicy } from '../row/call-outcome.ts';
import type { Row } from '../row/row-view.ts';
import { fieldsOf, type Fields } from './fields.ts';
import { columnOfSide, pairCondition, pairSelection, presenceColumn, type PairSide } from './join-calls.ts';
import { checkKeys, inputsOf, operatorIdsOf } from './meeting.ts';
import { compileTyped, type TypedExpression } from './row-operators.ts';
import type { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';
import type { NodeParts, OpenNode, StreamOrigin } from './stream-origin.ts';
import { checkFields, delayOf } from './stream-plan.ts';

/** A join as its types have checked it: to what runs it, records are like all others. */
interface AnyJoin {
  readonly id?: string;
  readonly errors?: ErrorPolicy;
  readonly on: Names | { readonly left: Names; readonly right: Names };
  readonly within: { readonly before?: string; readonly after?: string };
  readonly kind?: JoinKind;
  readonly where?: string | ((left: never, right: never) => boolean);
  readonly allowedLateness?: string;
  readonly output?: Fields;
  readonly select: object;
}

type Names = string | readonly string[];

/** What makes rows of the results, and what they are. */
interface Selection {
  readonly schema: Schema;
  readonly meaning: unknown;
  open(rejected: RejectedRecords): (batch: RecordBatch) => RecordBatch;
}

/** Plans a join of two streams. Called by `join`, which says what it throws. */
export function joinOrigin(left: Stream<Shape>, right: Stream<Shape>, options: AnyJoin): StreamOrigin {
  const { id = 'join', on, within, kind = 'inner', allowedLateness = '0s' } = options;
  const inputs = inputsOf([left, right]);
  const operatorIds = operatorIdsOf([left, right], [id]);
  if (within.before === undefined && within.after === undefined) {
    throw new SluiceError('JOIN_WITHOUT_END', 'a join must say "before" or "after"; its state would grow for ever');
  }
  const [leftKey, rightKey] = keyNames(on);
  checkFields(left.plan, leftKey, 'join');
  checkFields(right.plan, rightKey, 'join');
  leftKey.forEach((name, index) => {
    const other = rightKey[index] ?? '';
    const types = [left.plan.schema.field(name)?.type, right.plan.schema.field(other)?.type] as const;
    checkKeys(...types, 'join', `"${name}" and "${other}"`);
  });
  if (leftKey.length !== rightKey.length) {
    throw new SluiceError('KEY_TYPE', 'join must compare as many fields of the one stream as of the other');
  }
  const schema = metSchema(left.plan.schema, right.plan.schema);
  const definition: JoinDefinition = {
    operatorId: id,
    kind,
    left: sideOf('left', left.plan.schema, leftKey),
    right: sideOf('right', right.plan.schema, rightKey),
    key: leftKey.map((name) => `(key ${name})`),
    beforeMs: parseDuration(within.before ?? '0s'),
    afterMs: parseDuration(within.after ?? '0s'),
    allowedLatenessMs: parseDuration(allowedLateness),
    delaysMs: [delayOf(left.plan, 'join'), delayOf(right.plan, 'join')],
  };
  const results = new Schema(joinFields(definition, schema));
  const selection = selectionOf(options, id, results, left.plan.schema, right.plan.schema);
  const condition = conditionOf(options, id, results, left.plan.schema, right.plan.schema);
  return {
    source: null,
    plan: {
      schema: selection.schema,
      sourceKey: [],
      eventTime: { field: '', delayMs: Infinity },
      key: null,
      of: 'results',
      emits: 1,
      operatorIds,
      again: { notAgain: 'join' },
      arrivals: 'not told',
    },
    meaning: [
      'join',
      left.meaning,
      right.meaning,
      { ...definition, delaysMs: null },
      condition.meaning,
      selection.meaning,
    ],
    inputs,
    open: (parts) => openJoin(parts, left, right, definition, schema, condition, selection),
  };
}

function openJoin(
  parts: NodeParts,
  left: Stream<Shape>,
  right: Stream<Shape>,
  definition: JoinDefinition,
  schema: Schema,
  condition: { open(rejected: RejectedRecords): CompiledExpression | null },
  selection: Selection,
): OpenNode {
  const { start, state } = parts;
  const rejected = new RejectedRecords('');
  const [leftNode, rightNode] = [left.openNode(parts), right.openNode(parts)];
  const joined = new JoinFlow(
    {
      definition,
      // What it throws on is under the positions that records have within the join, and so is told of by the join.
      condition: condition.open(rejected),
      schema,
      left: { ...leftNode, node: withPresence(leftNode.node) },
      right: { ...rightNode, node: withPresence(rightNode.node) },
      outputs: 'results and marks',
      rows: 'numbered',
      rejected,
    },
    start,
    state,
  );
  const unselected = new RejectedRecords('');
  const step = { operator: map(selection.open(unselected)), fate: 'keeps' } as const;
  return {
    node: new StepFlow({ node: joined, gives: 'results', step, logics: [], rejected: unselected }),
    gives: 'results',
    watermarks: [],
    partitionOf: () => 0,
  };
}

/** Of the rows of both sides in one. */
function metSchema(left: Schema, right: Schema): Schema {
  const side = (name: PairSide, { fields }: Schema): Field[] => [
    ...fields.map((field): Field => ({ ...field, name: columnOfSide(name, field.name) })),
    { name: presenceColumn(name), type: 'boolean', presence: 'required' },
  ];
  return new Schema([
    { name: inputColumn, type: 'long', presence: 'required' },
    ...side('left', left),
    ...side('right', right),
  ]);
}

function sideOf(side: PairSide, { fields }: Schema, key: readonly string[]): JoinSide {
  return {
    input: side === 'left' ? 0 : 1,
    key: key.map((name) => columnOfSide(side, name)),
    columns: [...fields.map(({ name }) => columnOfSide(side, name)), presenceColumn(side)],
  };
}

/** Rows with a column that is true, so that a result knows which of its sides is there. */
function withPresence(node: FlowNode): FlowNode {
  return {
    logics: node.logics,
    run: async (batch) => {
      const flow = await node.run(batch);
      const there = numberColumn(new Float64Array(flow.records.rowCount).fill(1));
      return { ...flow, records: { ...flow.records, columns: [...flow.records.columns, there] } };
    },
  };
}

function keyNames(on: AnyJoin['on']): readonly [readonly string[], readonly string[]] {
  const list = (names: Names): readonly string[] => (typeof names === 'string' ? [names] : names);
  return typeof on === 'string' || !('left' in on) ? [list(on), list(on)] : [list(on.left), list(on.right)];
}

function selectionOf(
  { output, select, errors = 'dead-letter' }: AnyJoin,
  id: string,
  results: Schema,
  left: Schema,
  right: Schema,
): Selection {
  if (typeof select === 'function' && output !== undefined) {
    const fields = fieldsOf(output);
    const call = select as (one: Row | null, other: Row | null) => Row;
    return {
      schema: new Schema(fields),
      meaning: output,
      open: (rejected) => pairSelection({ operatorId: id, errors, call }, fields, left, right, rejected),
    };
  }
  const columns = Object.entries(select as Readonly<Record<string, TypedExpression<'double'>>>).map(
    ([name, { type, text }]): DerivedColumn => ({ name, expression: compileTyped(type, text, results) }),
  );
  const schema = derivedSchema(columns, new Schema([]));
  return {
    schema,
    meaning: columns.map(({ name, expression }) => [name, expression.canonical]),
    open: () => (batch) => ({ ...batch, schema, columns: columns.map(({ expression }) => expression.evaluate(batch)) }),
  };
}

function conditionOf(
  { where, errors = 'dead-letter' }: AnyJoin,
  id: string,
  results: Schema,
  left: Schema,
  right: Schema,
): { readonly meaning: unknown; open(rejected: RejectedRecords): CompiledExpression | null } {
  if (where === undefined) return { meaning: null, open: () => null };
  if (typeof where === 'string') {
    const compiled = compileTyped('boolean', where, results);
    return { meaning: compiled.canonical, open: () => compiled };
  }
  const call = where as (one: Row | null, other: Row | null) => boolean;
  return {
    meaning: 'where',
    open: (rejected) => pairCondition({ operatorId: id, errors, call }, left, right, rejected),
  };
}
