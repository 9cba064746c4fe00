import { clickHousePrelude } from '../engine/expression/clickhouse-prelude.ts';
import type { FieldType } from '../engine/record/schema.ts';
import type { DeriveStep, FeaturePlan } from './feature-plan.ts';
import { rollingSql } from './sql/rolling-sql.ts';
import { quoted, sqlNames, type SqlNameOf } from './sql/sql-names.ts';

/** Where the log of records is, and what it calls things besides the record's own fields. */
export interface FeatureSqlLog {
  /** A table, or a query in parentheses, with a row a record: repeated and undecodable ones are not in it. */
  readonly table: string;
  /** The columns of the source position, of the arrival order over all partitions, and of the event time in milliseconds. */
  readonly columns: FeatureSqlColumns;
  /** How far the watermark trails the newest event time of its partition. */
  readonly watermarkDelayMs: number;
  /** Records further ahead of the broker's timestamp (a column, milliseconds) than this do not move the watermark; `null`: all do. */
  readonly futureGuard: { readonly timestampColumn: string; readonly maxFutureSkewMs: number } | null;
}

/** Names of a log table's columns. */
export interface FeatureSqlColumns {
  readonly partition: string;
  readonly offset: string;
  readonly seq: string;
  readonly eventTimeMs: string;
}

/** The columns as the product's own log tables call them. */
export const usualColumns: FeatureSqlColumns = {
  partition: 'partition',
  offset: 'offset',
  seq: 'seq',
  eventTimeMs: 'event_time_ms',
};

/**
 * The plan's features as one ClickHouse query, from the same declarations as the operators: an independent way to the same
 * numbers, for parity, for backfills and for people who would rather read SQL. It has one table expression a step, and answers with the
 * columns `_partition, _offset, _seq` and every feature column, by `_seq`; nulls are left as they are (defaults are the model's affair).
 *
 * Fields of the record are columns of the log under their own names; instants among them are milliseconds. Numbers come as Float64.
 * Cost: each record gathers the records of its key that its windows reach, so it is for tens of thousands of records, not for millions.
 */
export function featureSql(plan: FeaturePlan, log: FeatureSqlLog): string {
  const nameOf = sqlNames(plan);
  const parts = [...clickHousePrelude, recordsSql(plan, log, nameOf)];
  let former = 'records';
  let schema = plan.inputSchema;
  plan.steps.forEach((step, index) => {
    const name = `step_${index + 1}`;
    if (step.kind === 'derive') parts.push(deriveSql(name, former, step, nameOf));
    else parts.push(rollingSql(name, former, { definition: step.definition, schema, nameOf }));
    former = name;
    schema = step.output;
  });
  const columns = plan.columns.map(({ name }) => (nameOf(name) === name ? name : `${nameOf(name)} AS ${quoted(name)}`));
  return `WITH
${parts.join(',\n')}
SELECT _partition, _offset, _seq, ${columns.join(', ')}
FROM ${former}
ORDER BY _seq
SETTINGS enable_named_columns_in_function_tuple = 1`;
}

/** The log with its fields in the types that we compute in, and with each record's watermark as it stood before the record. */
function recordsSql(
  plan: FeaturePlan,
  { table, columns, watermarkDelayMs, futureGuard }: FeatureSqlLog,
  nameOf: SqlNameOf,
): string {
  const time = `_log.${quoted(columns.eventTimeMs)}`;
  const moves =
    futureGuard === null
      ? `maxOrNull(${time})`
      : `maxOrNullIf(${time}, ${time} <= _log.${quoted(futureGuard.timestampColumn)} + ${futureGuard.maxFutureSkewMs})`;
  const before = `(PARTITION BY _log.${quoted(columns.partition)} ORDER BY _log.${quoted(columns.offset)} ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)`;
  const fields = plan.inputSchema.fields.map(({ name, type }) => `${castSql(name, type)} AS ${nameOf(name)}`);
  return `records AS (
  SELECT _log.${quoted(columns.partition)} AS _partition, _log.${quoted(columns.offset)} AS _offset,
    toInt64(_log.${quoted(columns.seq)}) AS _seq, toInt64(${time}) AS _time_ms,
    ${moves} OVER ${before} - ${watermarkDelayMs} AS _watermark_ms,
    ${fields.join(', ')}
  FROM ${table} AS _log
)`;
}

function castSql(name: string, type: FieldType): string {
  const column = `_log.${quoted(name)}`;
  if (type === 'string') return `toNullable(${column})`;
  return type === 'boolean' ? `toNullable(toUInt8(${column}))` : `toNullable(toFloat64(${column}))`;
}

function deriveSql(name: string, former: string, { columns }: DeriveStep, nameOf: SqlNameOf): string {
  const made = new Set<string>();
  const derived = columns.map((column) => {
    // Columns of the same step are read by their alias, those of the former one as its columns.
    const sql = column.expression.toClickHouseSql((read) => (made.has(read) ? nameOf(read) : `_r.${nameOf(read)}`));
    made.add(column.name);
    return `${sql} AS ${nameOf(column.name)}`;
  });
  return `${name} AS (
  SELECT _r.*,
    ${derived.join(',\n    ')}
  FROM ${former} AS _r
)`;
}
