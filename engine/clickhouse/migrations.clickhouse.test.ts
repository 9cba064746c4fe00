import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ClickHouseClient } from '@clickhouse/client';
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts';
import { systemClock } from '../time/clock.ts';
import { checkTable } from './check-table.ts';
import { checkClickHouseVersion, isNewEnough } from './check-version.ts';
import { ClusterClickHouse } from './clickhouse-access.ts';
import { createClickHouse } from './create-clickhouse.ts';
import { EmbeddedClickHouse } from './embedded-clickhouse.ts';
import { applyMigrations, migrationStatus, readMigrations, type Migration } from './migrations.ts';

const further: Migration = {
  version: 9_001,
  name: 'further',
  digest: 'of further',
  statements: ['CREATE TABLE further_a (a UInt8) ENGINE = Memory', 'CREATE VIEW IF NOT EXISTS further_b AS SELECT 1'],
};

/** What is shipped, in its order. */
const shipped = ['predictions', 'dead-letters', 'views', 'amendments', 'amendments-scored'];

describe('the migrations of ClickHouse', () => {
  const directory = temporaryDirectory();
  let clickHouse: EmbeddedClickHouse;
  let client: ClickHouseClient;
  let databases = 0;

  beforeAll(async () => {
    clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
  });

  beforeEach(async () => {
    const database = `database_${databases++}`;
    await (await clickHouse.client()).command({ query: `CREATE DATABASE ${database}` });
    await client?.close();
    client = createClickHouse({ ...clickHouse.endpoint, database });
  });

  afterAll(async () => {
    await client.close();
    await clickHouse[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  const states = async (migrations?: readonly Migration[]): Promise<string[]> =>
    (await migrationStatus(client, migrations)).map(({ name, state }) => `${name} ${state}`);
  const tables = async (): Promise<string[]> =>
    (await (await client.query({ query: 'SHOW TABLES', format: 'TabSeparated' })).text()).trim().split('\n');

  it('are all pending in an empty database, which asking leaves empty', async () => {
    expect(await states()).toEqual(shipped.map((name) => `${name} pending`));
    expect(await tables()).toEqual(['']);
  });

  it('are applied once, in their order, and say so', async () => {
    expect(await applyMigrations(client)).toEqual(shipped);
    expect(await states()).toEqual(shipped.map((name) => `${name} applied`));
    const [first] = await migrationStatus(client);
    expect(first?.appliedAt).toMatch(/^\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}\.\d{3}$/);
    const before = await tables();
    expect(await applyMigrations(client)).toEqual([]);
    expect(await tables()).toEqual(before);
  });

  it('may be applied by several at once', async () => {
    const [one, two] = await Promise.all([applyMigrations(client), applyMigrations(client)]);
    expect(new Set([...one, ...two])).toEqual(new Set(shipped));
    expect(await states()).toEqual(shipped.map((name) => `${name} applied`));
  });

  it('are gone on with where one was cut off', async () => {
    const migrations = await readMigrations();
    // As if it had died between the table and its row in the list.
    for (const query of migrations[0]?.statements ?? []) await client.command({ query });
    expect(await applyMigrations(client)).toEqual(shipped);
  });

  it('refuse a database that a newer Sluice has migrated, and change nothing in it', async () => {
    const migrations = await readMigrations();
    await applyMigrations(client, [...migrations, further]);
    const before = await tables();
    expect(await states()).toEqual([...shipped.map((name) => `${name} applied`), 'further unknown']);
    await expect(applyMigrations(client)).rejects.toMatchObject({
      code: 'DATABASE_NEWER',
      message: expect.stringContaining('9001 (further)') as string,
    });
    expect(await tables()).toEqual(before);
  });

  it('refuse one whose text has changed since', async () => {
    const migrations = await readMigrations();
    await applyMigrations(client);
    const changed = migrations.map((migration, index) => (index === 1 ? { ...migration, digest: 'x' } : migration));
    expect(await states(changed)).toEqual(
      shipped.map((name, index) => `${name} ${index === 1 ? 'changed' : 'applied'}`),
    );
    await expect(applyMigrations(client, [...changed, further])).rejects.toMatchObject({ code: 'MIGRATION_CHANGED' });
    expect(await tables()).not.toContain('further_a');
  });

  it('name the one that ClickHouse refuses', async () => {
    const wrong = { ...further, statements: ['CREATE TABLE no_engine (a Nothing_of_the_kind)'] };
    await expect(applyMigrations(client, [wrong])).rejects.toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
      message: expect.stringContaining('could not apply migration 9001 (further)') as string,
    });
    expect(await states([wrong])).toEqual(['further pending']);
  });

  it('say that a database must be created first, and that a server is away', async () => {
    const nowhere = createClickHouse({ ...clickHouse.endpoint, database: 'nowhere' });
    await expect(applyMigrations(nowhere)).rejects.toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
      message: expect.stringContaining('create it, or name another') as string,
    });
    await nowhere.close();
    await using away = new ClusterClickHouse({ url: 'http://127.0.0.1:9' });
    const unavailable = { code: 'CLICKHOUSE_UNAVAILABLE', retryable: 'transient' };
    await expect(applyMigrations(await away.client())).rejects.toMatchObject(unavailable);
    await expect(checkClickHouseVersion(away)).rejects.toMatchObject(unavailable);
    await expect(checkTable(away, 'predictions')).rejects.toMatchObject(unavailable);
  });

  it('know which versions of ClickHouse are new enough', async () => {
    expect(isNewEnough(await checkClickHouseVersion(clickHouse))).toBe(true);
    expect(['24.8.1.1', '24.12.3', '25.1', '26.7.5.10'].map(isNewEnough)).toEqual([true, true, true, true]);
    expect(['24.7.9', '23.12.1', '9.9', 'odd'].map(isNewEnough)).toEqual([false, false, false, false]);
  });
});
