import { map as mapBatches } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression, type CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../../engine/record/schema.ts';
import { deriveColumns, derivedSchema } from '../derive/derive.ts';
import { filterRows } from '../filter/filter.ts';
import { refusePromise, type ErrorPolicy } from '../row/call-outcome.ts';
import { cellsOf, columnOfCells, type Cell } from '../row/output-rows.ts';
import { keepRows, RowCalls } from '../row/row-calls.ts';
import type { Row } from '../row/row-view.ts';
import { selectColumns, selectedSchema } from '../select/select.ts';
import { flatMapRows } from '../select/flat-map.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import { fieldsOf, type Fields, type Flat, type RowOf, type ValueOf } from './fields.ts';
import { streamOperator, type Shape, type StreamOperator } from './stream-operator.ts';
import { checkFields, withOperator, withResults, type PlannedStep, type StreamPlan } from './stream-plan.ts';

/** What an operator with a function may be told besides. */
export interface FunctionOptions {
  /** What becomes of a record that the function throws on; default `dead-letter`. */
  readonly errors?: ErrorPolicy;
}

/** An expression over a record's fields, of the language of job files, and the type that it is to have. Made by {@link expression}. */
export interface TypedExpression<T extends FieldType> {
  readonly type: T;
  readonly text: string;
}

/**
 * An expression for {@link derive}: `expression('double', 'amount / avg_7d')`. It is computed over columns, without a call for each record, and gives null where an operand is null or
 * a result is not finite.
 */
export function expression<T extends FieldType>(type: T, text: string): TypedExpression<T> {
  return { type, text };
}

/**
 * Keeps the records for which a condition is true: a function, or an expression as job files have it, which costs no call.
 *
 *     filter((payment) => payment.amount > 100)       filter('amount > 100 && country != null')
 *
 * @throws {SluiceError} `EXPRESSION_INVALID` when it is piped.
 */
export function filter<S extends Shape>(
  condition: string | ((record: S['row']) => boolean),
  { errors = 'dead-letter' }: FunctionOptions = {},
): StreamOperator<S, S> {
  return streamOperator((before) => {
    if (typeof condition === 'string') {
      const compiled = compileExpression(condition, before.schema);
      if (compiled.type !== 'boolean') throw wrongType(condition, 'boolean', compiled.type);
      const keep = filterRows(compiled);
      return stateless(before, ['filter', compiled.canonical], 'filtered', () => keep);
    }
    const call = (record: Row): boolean => condition(record);
    return stateless(before, 'filter', 'filtered', (rejected) => {
      const calls = new RowCalls({ name: 'filter', errors, call }, before.schema, rejected);
      return (batch) => {
        const kept = new Uint8Array(batch.rowCount);
        const well = calls.run(batch, (isWanted, row) => void (kept[row] = isWanted ? 1 : 0));
        return keepRows(
          batch,
          well.filter((row) => kept[row] === 1),
        );
      };
    });
  });
}

/**
 * Makes another record of each, with the declared fields. The stream has to be keyed anew behind it.
 *
 *     map({ card: 'string', cents: 'long' }, ({ card, amount }) => ({ card, cents: Math.round(amount * 100) }))
 */
export function map<S extends Shape, const F extends Fields>(
  fields: F,
  make: (record: S['row']) => RowOf<F>,
  { errors = 'dead-letter' }: FunctionOptions = {},
): StreamOperator<S, { row: Flat<RowOf<F>>; key: null }> {
  const made = fieldsOf(fields);
  const schema = new Schema(made);
  const call = (record: Row): readonly Cell[] => cellsMade('map', made, make(record));
  return streamOperator((before) => {
    const after = { ...before, schema, key: null, sourceKey: [] };
    return stateless(before, ['map', fields], 'keeps', makeColumns, after);
    function makeColumns(rejected: RejectedRecords): (batch: RecordBatch) => RecordBatch {
      const columns = columnsBy(new RowCalls({ name: 'map', errors, call }, before.schema, rejected), made);
      return (batch) => {
        const { kept, added } = columns(batch);
        return { ...kept, schema, columns: added };
      };
    }
  });
}

/**
 * Adds fields to each record: by a function, with the declared fields; or by expressions, each of which sees the ones before it.
 *
 *     derive({ cents: 'long' }, ({ amount }) => ({ cents: Math.round(amount * 100) }))
 *     derive({ ratio: expression('double', 'amount / avg_7d') })
 *
 * @throws {SluiceError} `SCHEMA_FIELD_DUPLICATE`, `EXPRESSION_INVALID` when it is piped.
 */
export function derive<S extends Shape, const F extends Fields>(
  fields: F,
  make: (record: S['row']) => RowOf<F>,
  options?: FunctionOptions,
): StreamOperator<S, { row: Flat<S['row'] & RowOf<F>>; key: S['key'] }>;
/** Adds fields to each record by expressions. */
export function derive<S extends Shape, const E extends Readonly<Record<string, TypedExpression<FieldType>>>>(
  expressions: E,
): StreamOperator<S, { row: Flat<S['row'] & ExpressionValues<E>>; key: S['key'] }>;
export function derive(
  given: Fields | Readonly<Record<string, TypedExpression<FieldType>>>,
  make?: (record: Row) => object,
  { errors = 'dead-letter' }: FunctionOptions = {},
): StreamOperator<Shape, Shape> {
  return streamOperator((before) => {
    if (make === undefined)
      return deriveExpressions(before, given as Readonly<Record<string, TypedExpression<FieldType>>>);
    const made = fieldsOf(given as Fields);
    const schema = before.schema.with(...made);
    const call = (record: Row): readonly Cell[] => cellsMade('derive', made, make(record) as Row);
    const addColumns = (rejected: RejectedRecords): ((batch: RecordBatch) => RecordBatch) => {
      const columns = columnsBy(new RowCalls({ name: 'derive', errors, call }, before.schema, rejected), made);
      return (batch) => {
        const { kept, added } = columns(batch);
        return withColumns(kept, schema, added);
      };
    };
    return stateless(before, ['derive', given], 'keeps', addColumns, { ...before, schema });
  });
}

/** What expressions give: null where an operand is null. */
export type ExpressionValues<E extends Readonly<Record<string, TypedExpression<FieldType>>>> = {
  readonly [Name in keyof E]: ValueOf<E[Name]['type']> | null;
};

function deriveExpressions(
  before: StreamPlan,
  expressions: Readonly<Record<string, TypedExpression<FieldType>>>,
): PlannedStep {
  let schema = before.schema;
  const columns = Object.entries(expressions).map(([name, { type, text }]) => {
    const column = { name, expression: compileTyped(type, text, schema) };
    schema = derivedSchema([column], schema);
    return column;
  });
  const add = deriveColumns(columns, before.schema);
  const meaning = ['derive', columns.map(({ name, expression: { canonical } }) => [name, canonical])];
  const planned = stateless(before, meaning, 'keeps', () => add, { ...before, schema });
  return { ...planned, again: { kind: 'derive', columns } };
}

/** An expression over records of a schema, of the type that it is said to have. @throws {SluiceError} `EXPRESSION_INVALID` */
export function compileTyped(type: FieldType, text: string, schema: Schema): CompiledExpression {
  const compiled = compileExpression(text, schema);
  if (compiled.type !== type && !(type === 'double' && compiled.type === 'long'))
    throw wrongType(text, type, compiled.type);
  return { ...compiled, type };
}

/**
 * Makes any number of records of each, with the declared fields: none, one, or several, in the record's place. The stream has to be keyed anew behind it.
 *
 *     flatMap({ order: 'string', item: 'string' }, function* ({ order, items }) {
 *       for (const item of items.split(',')) yield { order, item };
 *     })
 */
export function flatMap<S extends Shape, const F extends Fields>(
  fields: F,
  make: (record: S['row']) => Iterable<RowOf<F>>,
  { id = 'flatMap', errors = 'dead-letter' }: FunctionOptions & StatefulOptions = {},
): StreamOperator<S, { row: Flat<RowOf<F>>; key: null }> {
  const made = fieldsOf(fields);
  const call = (record: Row): Iterable<Row> => make(record) as Iterable<Row>;
  return streamOperator((before) => ({
    plan: { ...withResults(withOperator(before, id), new Schema(made)), key: null, sourceKey: [] },
    meaning: ['flatMap', fields],
    open: ({ rejected }) => ({
      kind: 'emit',
      operator: mapBatches(flatMapRows({ name: 'flatMap', errors, call }, made, before.schema, rejected)),
      logics: [],
      stage: {
        operatorId: id,
        scope: 'partition',
        delayMs: before.eventTime?.delayMs ?? 0,
        heldMs: 0,
        marks: 'kept from it',
      },
    }),
  }));
}

/**
 * Keeps these fields and no others. The key stays where its fields do.
 *
 * @throws {SluiceError} `FIELD_UNKNOWN` when it is piped.
 */
export function select<S extends Shape, const N extends keyof S['row'] & string>(
  ...names: readonly N[]
): StreamOperator<S, { row: Flat<Pick<S['row'], N>>; key: S['key'] extends N ? S['key'] : null }> {
  const columns = names.map((name) => ({ name, from: name }));
  return streamOperator((before) => {
    checkFields(before, names, 'select');
    const kept = (key: readonly string[]): boolean => key.every((name) => names.some((other) => other === name));
    const after = {
      ...before,
      schema: selectedSchema(columns, before.schema),
      key: before.key !== null && kept(before.key) ? before.key : null,
      sourceKey: kept(before.sourceKey) ? before.sourceKey : [],
    };
    const choose = selectColumns(columns, before.schema);
    return stateless(before, ['select', names], 'keeps', () => choose, after);
  });
}

function stateless(
  before: StreamPlan,
  meaning: unknown,
  fate: 'keeps' | 'filtered',
  make: (rejected: RejectedRecords) => (batch: RecordBatch) => RecordBatch,
  plan: StreamPlan = before,
): PlannedStep {
  return {
    plan,
    meaning,
    again: 'before windows',
    open: ({ rejected }) => ({ kind: 'step', step: { operator: mapBatches(make(rejected)), fate }, logics: [] }),
  };
}

function cellsMade(name: string, fields: readonly Field[], row: Row): readonly Cell[] {
  refusePromise(name, row);
  return cellsOf(fields, row);
}

/** The columns that a function makes, and the batch without the rows that it threw on. */
function columnsBy(
  calls: RowCalls<readonly Cell[]>,
  fields: readonly Field[],
): (batch: RecordBatch) => { readonly kept: RecordBatch; readonly added: ReturnType<typeof columnOfCells>[] } {
  return (batch) => {
    const cells = fields.map((): Cell[] => []);
    const well = calls.run(batch, (made) => made.forEach((cell, index) => cells[index]?.push(cell)));
    const added = fields.map(({ type }, index) => columnOfCells(type === 'string', cells[index] ?? []));
    return { kept: keepRows(batch, well), added };
  };
}

function wrongType(text: string, expected: FieldType, got: FieldType): SluiceError {
  return new SluiceError('EXPRESSION_INVALID', `the expression "${text}" must be a ${expected}; it is a ${got}`);
}
