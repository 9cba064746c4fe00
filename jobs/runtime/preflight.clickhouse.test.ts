import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterClickHouse } from '../../engine/clickhouse/clickhouse-access.ts';
import { applyMigrations } from '../../engine/clickhouse/migrations.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { startClickHouse, type ClickHouseService } from '../../tools/services/start-clickhouse.ts';
import { jobOf } from '../testing/job-folder.ts';
import type { CheckResult } from './cluster/checklist.ts';
import { preflight, type PreflightProfile } from './preflight.ts';

let dir: string;
let server: ClickHouseService;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-preflight-'));
  server = await startClickHouse({ dir, password: 'hunter2' });
});

afterAll(async () => {
  await server.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** What is found of ClickHouse alone; the other services are not named. */
async function found(
  clickHouse: PreflightProfile['settings']['clickHouse'],
  purpose: PreflightProfile['purpose'] = 'examine',
): Promise<CheckResult[]> {
  const settings = { kafka: null, redis: null, clickHouse, schemaRegistry: null, workingSetBytes: 1e9 };
  const results = await preflight(await jobOf(), {
    settings,
    modelsDirectory: dir,
    clock: systemClock,
    purpose,
    threads: 64,
  });
  return results.filter(({ thing }) => thing.startsWith('ClickHouse'));
}

describe("the checks of a job's ClickHouse", () => {
  it('refuse one that wants its migrations, and take it once it has them', async () => {
    const address = { url: server.url, username: 'default', password: 'hunter2' };
    expect(await found(address)).toMatchObject([
      { thing: 'ClickHouse', outcome: 'ok', words: expect.stringMatching(/^release \d+\.\d+/) },
      { thing: 'ClickHouse tables', code: 'MIGRATIONS_PENDING', words: expect.stringContaining('sluice migrate') },
    ]);
    await using access = new ClusterClickHouse(address);
    await applyMigrations(await access.client());
    expect((await found(address)).map(({ outcome }) => outcome)).toEqual(['ok', 'ok']);
  });

  it('refuse a password that is not the one, without saying either', async () => {
    const results = await found({ url: server.url, username: 'default', password: 'hunter3' });
    expect(results.map(({ code, outcome }) => code ?? outcome)).toEqual(['CLICKHOUSE_REFUSED', 'not looked at']);
    expect(JSON.stringify(results)).not.toMatch(/hunter/);
  });

  it('refuse one that does not answer, but for a job that starts: it does without', async () => {
    const nowhere = { url: 'http://127.0.0.1:1' };
    expect(await found(nowhere)).toMatchObject([{ code: 'CLICKHOUSE_UNAVAILABLE' }, { outcome: 'not looked at' }]);
    expect(await found(nowhere, 'start')).toMatchObject([
      { outcome: 'warned', words: expect.stringContaining('127.0.0.1:1') },
    ]);
  });

  it('warn where the job names a table, and nobody says where', async () => {
    expect(await found(null)).toMatchObject([
      { outcome: 'warned', words: expect.stringContaining('SLUICE_CLICKHOUSE_URL') },
    ]);
  });
});
