import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from '@clickhouse/client';
import { afterEach, describe, expect, it } from 'vitest';
import { clickHouseAnswers, startClickHouse, type ClickHouseService } from './start-clickhouse.ts';

describe('a ClickHouse of ours', () => {
  const dirs: string[] = [];
  const services: ClickHouseService[] = [];

  async function start(...[options]: Parameters<typeof startClickHouse>): Promise<ClickHouseService> {
    const service = await startClickHouse(options);
    services.push(service);
    return service;
  }

  function newDir(): string {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-clickhouse-'));
    dirs.push(dir);
    return dir;
  }

  async function count(url: string): Promise<string> {
    const client = createClient({ url });
    const result = await client.query({ query: 'SELECT count() FROM t', format: 'TabSeparated' });
    const text = (await result.text()).trim();
    await client.close();
    return text;
  }

  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.kill()));
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  it('keeps what was inserted through a kill, and through an orderly stop', async () => {
    const dir = newDir();
    const first = await start({ dir });
    const client = createClient({ url: first.url });
    await client.command({ query: 'CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id' });
    await client.insert({ table: 't', values: [{ id: 1 }, { id: 2 }], format: 'JSONEachRow' });
    await client.close();
    await first.kill();
    expect(await clickHouseAnswers(first.port)).toBe(false);

    const second = await start({ dir, port: first.port });
    expect(await count(second.url)).toBe('2');
    await second.stop();
    const third = await start({ dir });
    expect(await count(third.url)).toBe('2');
  });

  it('says so when the port is taken', async () => {
    const first = await start({ dir: newDir() });
    await expect(start({ dir: newDir(), port: first.port })).rejects.toMatchObject({ code: 'SERVICE_NOT_STARTED' });
    expect(await clickHouseAnswers(first.port)).toBe(true);
  });
});
