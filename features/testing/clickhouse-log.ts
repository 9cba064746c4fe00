import type { Session } from 'chdb';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { valueAt } from '../../engine/record/column.ts';
import type { FieldType } from '../../engine/record/schema.ts';
import { featureSql, usualColumns, type FeatureSqlLog } from '../feature-sql.ts';
import type { FeaturePlan } from '../feature-plan.ts';

/** A row of answers by column; booleans as 0 and 1. */
export type Answer = Readonly<Record<string, number | string | null>>;

const clickHouseTypes: Readonly<Record<FieldType, string>> = {
  double: 'Nullable(Float64)',
  long: 'Nullable(Int64)',
  timestamp: 'Nullable(Int64)',
  boolean: 'Nullable(UInt8)',
  string: 'Nullable(String)',
};

/** Puts a batch, whose rows are all of the log in arrival order, into the table `log`, in the form that `featureSql` reads. */
export function writeLog(session: Session, batch: RecordBatch): void {
  const fields = batch.schema.fields.map(({ name, type }) => `\`${name}\` ${clickHouseTypes[type]}`).join(', ');
  const columns = batch.schema.fields.map(({ name }) => [name, columnOf(batch, name)] as const);
  const lines = Array.from({ length: batch.rowCount }, (_, seq) =>
    JSON.stringify({
      partition: batch.partitions[seq],
      offset: batch.offsets[seq],
      seq,
      event_time_ms: batch.eventTimesMs[seq],
      ...Object.fromEntries(columns.map(([name, column]) => [name, valueAt(column, seq)])),
    }),
  );
  session.query(
    `CREATE OR REPLACE TABLE log (partition Int32, offset Int64, seq Int64, event_time_ms Int64, ${fields}) ENGINE = MergeTree ORDER BY seq`,
  );
  session.query(`INSERT INTO log FORMAT JSONEachRow ${lines.join('\n')}`);
}

/** The table that {@link writeLog} fills. */
export function logTable(watermarkDelayMs: number): FeatureSqlLog {
  return { table: 'log', columns: usualColumns, watermarkDelayMs, futureGuard: null };
}

/** The plan's answers to a log, by ClickHouse. */
export function answersBySql(session: Session, plan: FeaturePlan, log: FeatureSqlLog): readonly Answer[] {
  const sql = featureSql(plan, log);
  const lines = session.query(sql, 'JSONEachRow').trim().split('\n');
  return lines.map((line) => {
    const row = JSON.parse(line) as Record<string, number | string | boolean | null>;
    return Object.fromEntries(
      plan.columns.map(({ name }) => {
        const value = row[name] ?? null;
        return [name, typeof value === 'boolean' ? Number(value) : value];
      }),
    );
  });
}

/** The plan's answers as the operators gave them: the feature columns of a batch that went through them. */
export function answersOf(plan: FeaturePlan, answered: RecordBatch): readonly Answer[] {
  const columns = plan.columns.map(({ name }) => [name, columnOf(answered, name)] as const);
  return Array.from({ length: answered.rowCount }, (_, row) =>
    Object.fromEntries(columns.map(([name, column]) => [name, valueAt(column, row)])),
  );
}

/** The first value that differs by more than 1e-9 · max(1, |value|), in words; `null` when none does. */
export function firstDifference(got: readonly Answer[], wanted: readonly Answer[]): string | null {
  if (got.length !== wanted.length) return `${got.length} rows, and ${wanted.length} were wanted`;
  for (const [row, answer] of wanted.entries()) {
    for (const [name, value] of Object.entries(answer)) {
      const found = got[row]?.[name] ?? null;
      const close =
        typeof value === 'number' && typeof found === 'number'
          ? Math.abs(found - value) <= 1e-9 * Math.max(1, Math.abs(value))
          : found === value;
      if (!close) return `row ${row}, ${name}: SQL says ${found}, the operators say ${value}`;
    }
  }
  return null;
}
