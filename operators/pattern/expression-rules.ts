import { strict as assert } from 'node:assert';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { gather, isValid, valueAt, type Column } from '../../engine/record/column.ts';
import { columnOf, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { columnOfCells } from '../row/output-rows.ts';
import type { FirstRecord, OpenRules, PatternRules } from './pattern-definition.ts';

/** What the fields of the first record are called in an expression over both: `first.amount`. */
export const firstPrefix = 'first.';

/** The schema that expressions over both records are compiled for; names of the first one that the record has itself are left out. */
export function pairSchema(schema: Schema): Schema {
  const firsts = schema.fields.map((field) => ({ ...field, name: `${firstPrefix}${field.name}` }));
  return schema.with(...firsts.filter(({ name }) => schema.indexOf(name) < 0));
}

/** A pattern's rules as expressions. */
export interface ExpressionRules {
  /** Over a record; boolean. */
  readonly first: CompiledExpression;
  /** Over both records, compiled for {@link pairSchema}; boolean. */
  readonly followedBy: CompiledExpression;
  /** Over both records: the fields of the result. */
  readonly select: readonly { readonly name: string; readonly expression: CompiledExpression }[];
}

/**
 * Rules as expressions. The first condition, and a second one that does not read the first record, are computed for a batch at a time; what reads both records, for all first
 * records that wait when a record comes.
 */
export function expressionRules({ first, followedBy, select }: ExpressionRules, schema: Schema): PatternRules {
  const read = [...new Set([...followedBy.reads, ...select.flatMap(({ expression }) => expression.reads)])];
  const carried = read.flatMap((name) => (schema.indexOf(name) < 0 ? [name.slice(firstPrefix.length)] : []));
  const own = read.filter((name) => schema.indexOf(name) >= 0);
  const fields = pairSchema(schema).fields;
  const ordered = [...own, ...carried.map((name) => `${firstPrefix}${name}`)];
  const pairs = new Schema(ordered.flatMap((name) => fields.find((field) => field.name === name) ?? []));
  const isAlone = followedBy.reads.every((name) => schema.indexOf(name) >= 0);
  const open = (batch: RecordBatch): OpenRules => {
    const begins = truths(first.evaluate(batch));
    const alone = isAlone ? truths(followedBy.evaluate(batch)) : null;
    const columns = own.map((name) => columnOf(batch, name));
    return {
      begins: (row) => begins(row),
      complete: (row, firsts) => {
        if (alone !== null && !alone(row)) return firsts.map(() => null);
        const pair = pairOf(batch, row, columns, firsts, pairs);
        const isMet = alone ?? truths(followedBy.evaluate(pair));
        const results = select.map(({ expression }) => expression.evaluate(pair));
        return firsts.map((_, index) => {
          const met = alone === null ? isMet(index) : true;
          return met ? results.map((column) => valueAt(column, index)) : null;
        });
      },
    };
  };
  return {
    carried,
    outputs: select.map(({ name, expression }) => ({ name, type: expression.type, presence: 'optional' })),
    open,
  };
}

/** A batch with a row for each first record: the record's columns, the same in all rows, and the first ones'. */
function pairOf(
  batch: RecordBatch,
  row: number,
  columns: readonly Column[],
  firsts: readonly FirstRecord[],
  schema: Schema,
): RecordBatch {
  const rows = new Int32Array(firsts.length).fill(row);
  const origins = selectRows({ ...batch, columns: [] }, rows);
  const added = schema.fields.slice(columns.length).map(({ type }, index) =>
    columnOfCells(
      type === 'string',
      firsts.map(({ cells }) => cells[index] ?? null),
    ),
  );
  return { ...origins, schema, columns: [...columns.map((column) => gather(column, rows)), ...added] };
}

function truths(column: Column): (row: number) => boolean {
  assert(column.kind === 'number', 'the plan lets only boolean conditions come here');
  return (row) => isValid(column, row) && column.values[row] === 1;
}
