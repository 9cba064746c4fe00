import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../error.ts';
import { clickHouseFailure } from './clickhouse-failure.ts';
import { readMigrations } from './migrations.ts';

/** The oldest release that the client is made for and tested with (README of @clickhouse/client, "Compatibility with ClickHouse"). */
const oldest = { year: 24, month: 8 };

/**
 * Refuses a server that is older than its client knows: what it makes of the settings that are sent with each insert is nobody's promise. Asked before a job
 * starts.
 *
 * @returns the server's version, for people.
 * @throws {SluiceError} `CLICKHOUSE_TOO_OLD`; what {@link clickHouseFailure} says where it cannot be asked.
 */
export async function checkClickHouseVersion(client: ClickHouseClient): Promise<string> {
  const version = await firstText(client, 'SELECT version()', 'ask for the version');
  if (isNewEnough(version)) return version;
  throw new SluiceError(
    'CLICKHOUSE_TOO_OLD',
    `ClickHouse must be of release ${oldest.year}.${oldest.month} or newer; got ${version}. Older ones may take the settings that make an insert exact ` +
      'for unknown, or for something else: update it',
    { fields: { version } },
  );
}

/** Whether a release is one that we take: 24.8 and on. */
export function isNewEnough(version: string): boolean {
  const [year = 0, month = 0] = version.split('.').map(Number);
  return year > oldest.year || (year === oldest.year && month >= oldest.month);
}

/**
 * The migrations of `schemas/clickhouse` that were not applied to a database yet, by name.
 *
 * @throws {SluiceError} what {@link clickHouseFailure} says where it cannot be asked.
 */
export async function pendingMigrations(client: ClickHouseClient): Promise<readonly string[]> {
  const migrations = await readMigrations();
  const action = 'look for the migrations that were applied';
  const isThere = (await firstText(client, 'EXISTS TABLE schema_migrations', action)) === '1';
  const query = "SELECT arrayStringConcat(arrayMap(toString, groupArray(version)), ',') FROM schema_migrations FINAL";
  const applied = isThere ? (await firstText(client, query, action)).split(',').map(Number) : [];
  return migrations.filter(({ version }) => !applied.includes(version)).map(({ name }) => name);
}

async function firstText(client: ClickHouseClient, query: string, action: string): Promise<string> {
  try {
    return (await (await client.query({ query, format: 'TabSeparated' })).text()).trim();
  } catch (error) {
    throw clickHouseFailure(action, error);
  }
}
