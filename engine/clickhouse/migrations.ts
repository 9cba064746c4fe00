import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../error.ts';
import { clickHouseFailure } from './clickhouse-failure.ts';

/** One file of `schemas/clickhouse`: `0001-predictions.sql` is version 1, `predictions`. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly digest: string;
  readonly statements: readonly string[];
}

/** Where a migration stands in a ClickHouse. `changed`: applied, with another text. `unknown`: applied by a newer Sluice. */
export interface MigrationStatus {
  readonly version: number;
  readonly name: string;
  readonly state: 'applied' | 'pending' | 'changed' | 'unknown';
  /** As ClickHouse says it, in UTC; `null` where it was not applied. */
  readonly appliedAt: string | null;
}

interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly digest: string;
  readonly applied_at: string;
}

const namePattern = /^(\d{4})-([a-z0-9-]+)\.sql$/;
const tableOfApplied = `
  CREATE TABLE IF NOT EXISTS schema_migrations
  (version UInt32, name String, digest String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3, 'UTC'))
  ENGINE = ReplacingMergeTree ORDER BY version`;

/** Reads the migrations of a folder, in the order of their versions: Sluice's own, unless another is named. */
export async function readMigrations(
  folder: URL = new URL('../../schemas/clickhouse/', import.meta.url),
): Promise<readonly Migration[]> {
  const files = (await readdir(folder)).filter((file) => namePattern.test(file)).toSorted();
  return Promise.all(
    files.map(async (file) => {
      const text = await readFile(new URL(file, folder), 'utf8');
      const [, version = '', name = ''] = namePattern.exec(file) ?? [];
      const digest = createHash('sha256').update(text).digest('hex').slice(0, 16);
      return { version: Number(version), name, digest, statements: statementsOf(text) };
    }),
  );
}

/**
 * How the migrations stand in the client's database, in the order of their versions, those of a newer Sluice among them. Changes nothing, also where none was
 * ever applied.
 *
 * @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE` (transient), `CLICKHOUSE_REFUSED`
 */
export async function migrationStatus(
  client: ClickHouseClient,
  migrations?: readonly Migration[],
): Promise<readonly MigrationStatus[]> {
  const wanted = migrations ?? (await readMigrations());
  try {
    const exists = await client.query({ query: 'EXISTS TABLE schema_migrations', format: 'TabSeparated' });
    const applied =
      (await exists.text()).trim() === '1' ? await readApplied(client) : new Map<number, AppliedMigration>();
    return statusOf(wanted, applied);
  } catch (error) {
    throw clickHouseFailure('read which migrations were applied', error);
  }
}

/**
 * Makes the tables and views in the client's database that are not there yet. Called at the start of whatever writes to the embedded ClickHouse, and by `sluice
 * migrate`; any number of callers may do it at once, since every statement may be run twice. One that is cut off is gone on with by the next.
 *
 * @returns the names of those that were applied now.
 * @throws {SluiceError} `MIGRATION_CHANGED` when one that was applied is not what it was then, `DATABASE_NEWER` when a newer Sluice has applied further ones;
 * `CLICKHOUSE_UNAVAILABLE` (transient), `CLICKHOUSE_REFUSED`.
 */
export async function applyMigrations(
  client: ClickHouseClient,
  migrations?: readonly Migration[],
): Promise<readonly string[]> {
  const wanted = migrations ?? (await readMigrations());
  const names: string[] = [];
  let doing = 'make the table of migrations';
  try {
    await client.command({ query: tableOfApplied });
    doing = 'read which migrations were applied';
    const applied = await readApplied(client);
    const statuses = statusOf(wanted, applied);
    checkStatuses(statuses, applied);
    const pending = new Set(statuses.filter(({ state }) => state === 'pending').map(({ version }) => version));
    for (const { version, name, digest, statements } of wanted.filter((migration) => pending.has(migration.version))) {
      doing = `apply migration ${version} (${name})`;
      for (const query of statements) await client.command({ query });
      await client.insert({
        table: 'schema_migrations',
        values: [{ version, name, digest }],
        format: 'JSONEachRow',
        clickhouse_settings: { async_insert: 0 },
      });
      names.push(name);
    }
  } catch (error) {
    throw clickHouseFailure(doing, error);
  }
  return names;
}

async function readApplied(client: ClickHouseClient): Promise<ReadonlyMap<number, AppliedMigration>> {
  const result = await client.query({
    query: 'SELECT version, name, digest, toString(applied_at) AS applied_at FROM schema_migrations FINAL',
    format: 'JSONEachRow',
  });
  return new Map((await result.json<AppliedMigration>()).map((row) => [row.version, row]));
}

function statusOf(
  wanted: readonly Migration[],
  applied: ReadonlyMap<number, AppliedMigration>,
): readonly MigrationStatus[] {
  const known = wanted.map(({ version, name, digest }): MigrationStatus => {
    const before = applied.get(version);
    if (before === undefined) return { version, name, state: 'pending', appliedAt: null };
    return { version, name, state: before.digest === digest ? 'applied' : 'changed', appliedAt: before.applied_at };
  });
  const unknown = [...applied.values()]
    .filter(({ version }) => !wanted.some((migration) => migration.version === version))
    .map(({ version, name, applied_at }): MigrationStatus => {
      return { version, name, state: 'unknown', appliedAt: applied_at };
    });
  return [...known, ...unknown].toSorted((a, b) => a.version - b.version);
}

/** Nothing is applied to a database in which anything is not as this Sluice knows it. */
function checkStatuses(statuses: readonly MigrationStatus[], applied: ReadonlyMap<number, AppliedMigration>): void {
  const changed = statuses.find(({ state }) => state === 'changed');
  if (changed !== undefined) {
    const { version, name } = changed;
    throw new SluiceError(
      'MIGRATION_CHANGED',
      `migration ${version} (${name}) must be the one that was applied to this ClickHouse (${applied.get(version)?.name ?? ''}); its text has changed since. ` +
        `Put it back, and write what is to change as a new migration`,
      { fields: { version, migration: name } },
    );
  }
  const unknown = statuses.filter(({ state }) => state === 'unknown');
  if (unknown.length === 0) return;
  const names = unknown.map(({ version, name }) => `${version} (${name})`).join(', ');
  throw new SluiceError(
    'DATABASE_NEWER',
    `this ClickHouse must have no migrations but those of this Sluice; it has ${names}, of a newer one. Run that one`,
    { fields: { version: unknown.at(-1)?.version ?? null } },
  );
}

/** A statement ends with a semicolon at the end of a line; comments of whole lines are left out. */
function statementsOf(text: string): readonly string[] {
  return text
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n')
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
