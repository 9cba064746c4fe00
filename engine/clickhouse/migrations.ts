import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../error.ts';

/** One file of `schemas/clickhouse`: `0001-predictions.sql` is version 1, `predictions`. */
export interface Migration {
  readonly version: number;
  readonly name: string;
  readonly digest: string;
  readonly statements: readonly string[];
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
 * Makes the tables and views in the client's database that are not there yet. Called at the start of whatever writes to ClickHouse, and by `sluice
 * migrate`; any number of callers may do it at once, since every statement may be run twice.
 *
 * @returns the names of those that were applied now.
 * @throws {SluiceError} `MIGRATION_CHANGED` when one that was applied is not what it was then.
 */
export async function applyMigrations(
  client: ClickHouseClient,
  migrations?: readonly Migration[],
): Promise<readonly string[]> {
  const wanted = migrations ?? (await readMigrations());
  await client.command({ query: tableOfApplied });
  const result = await client.query({
    query: 'SELECT version, name, digest FROM schema_migrations FINAL',
    format: 'JSONEachRow',
  });
  const applied = new Map(
    (await result.json<{ version: number; name: string; digest: string }>()).map((row) => [row.version, row]),
  );
  const names: string[] = [];
  for (const { version, name, digest, statements } of wanted) {
    const before = applied.get(version);
    if (before !== undefined) {
      if (before.digest !== digest) throw changed(version, name, before.name);
      continue;
    }
    for (const query of statements) await client.command({ query });
    await client.insert({
      table: 'schema_migrations',
      values: [{ version, name, digest }],
      format: 'JSONEachRow',
      clickhouse_settings: { async_insert: 0 },
    });
    names.push(name);
  }
  return names;
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

function changed(version: number, name: string, nameBefore: string): SluiceError {
  return new SluiceError(
    'MIGRATION_CHANGED',
    `migration ${version} (${name}) must be the one that was applied to this ClickHouse (${nameBefore}); its text has changed since. ` +
      `Put it back, and write what is to change as a new migration`,
    { fields: { version, migration: name } },
  );
}
