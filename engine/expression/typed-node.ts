import { strict as assert } from 'node:assert';
import { numberColumn, utf8ColumnOf, type Column, type NumberColumn, type Utf8Column } from '../record/column.ts';
import { columnOf, type RecordBatch } from '../record/record-batch.ts';
import type { FieldType } from '../record/schema.ts';
import type { Span } from './expression-problem.ts';
import type { LiteralValue } from './syntax.ts';

/** Computes a node over a batch: one pass over columns, no object a row. The result must not be changed: it may be the batch's own column. */
export type Evaluate = (batch: RecordBatch) => Column;

/** A checked expression: what it gives, and how to compute it over columns and in SQL. Made by `check-expression.ts`, bottom up. */
export interface TypedNode {
  /** `null` is the type of the literal alone; it fits wherever any type does that says so. */
  readonly type: FieldType | 'null';
  readonly span: Span;
  /** The value where it is the same for every row, which is then computed once, at plan time. */
  readonly constant: { readonly value: LiteralValue } | null;
  readonly evaluate: Evaluate;
  /** ClickHouse SQL, in which a column is what `nameOf` says. */
  readonly sql: (nameOf: (column: string) => string) => string;
}

/** A node that reads a column of the batch. */
export function columnNode(name: string, type: FieldType, span: Span): TypedNode {
  return {
    type,
    span,
    constant: null,
    evaluate: (batch) => columnOf(batch, name),
    sql: (nameOf) => nameOf(name),
  };
}

/** A node whose value is the same for every row. */
export function constantNode(value: LiteralValue, type: FieldType | 'null', span: Span): TypedNode {
  return {
    type,
    span,
    constant: { value },
    evaluate: typeof value === 'string' ? repeatedString(value) : repeatedNumber(value === null ? null : Number(value)),
    sql: () => sqlLiteral(value, type),
  };
}

/** The node's column as numbers. A node of another type is our bug: the checker has compared types. */
export function numbersOf(node: TypedNode, batch: RecordBatch): NumberColumn {
  const column = node.evaluate(batch);
  assert(column.kind === 'number', 'the checker lets only numeric nodes come here');
  return column;
}

/** The node's column as strings; the literal null counts as one. */
export function stringsOf(node: TypedNode, batch: RecordBatch): Utf8Column {
  if (node.constant?.value === null) return utf8ColumnOf(Array.from({ length: batch.rowCount }, () => null));
  const column = node.evaluate(batch);
  assert(column.kind === 'utf8', 'the checker lets only string nodes come here');
  return column;
}

/** A text in ClickHouse's single quotes. */
export function sqlString(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** A number as a Float64 literal, so that SQL never computes in integers, which would wrap. */
export function sqlNumber(value: number): string {
  const text = Object.is(value, -0) ? '-0' : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}

function sqlLiteral(value: LiteralValue, type: FieldType | 'null'): string {
  if (value === null) return 'NULL';
  if (typeof value === 'string') return sqlString(value);
  if (typeof value === 'boolean') return String(value);
  return type === 'boolean' ? String(value === 1) : sqlNumber(value);
}

/** The same number for every row, out of one array that grows to the largest batch seen and is never written again. */
function repeatedNumber(value: number | null): Evaluate {
  let values = new Float64Array(0);
  let invalid = new Uint8Array(0);
  return ({ rowCount }) => {
    if (values.length < rowCount) {
      values = new Float64Array(rowCount).fill(value ?? 0);
      invalid = new Uint8Array(rowCount);
    }
    return numberColumn(values.subarray(0, rowCount), value === null ? invalid.subarray(0, rowCount) : null);
  };
}

function repeatedString(value: string): Evaluate {
  let cached = utf8ColumnOf([]);
  return ({ rowCount }) => {
    const known = cached.offsets.length - 1;
    if (known < rowCount) cached = utf8ColumnOf(Array.from({ length: rowCount }, () => value));
    return known === rowCount ? cached : { ...cached, offsets: cached.offsets.subarray(0, rowCount + 1) };
  };
}
