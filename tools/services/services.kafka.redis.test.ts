import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, it } from 'vitest';
import { freePort } from './free-port.ts';
import { readRegistry } from './service-registry.ts';
import { kafkaAnswers } from './start-kafka.ts';
import { redisAnswers } from './start-redis.ts';

const program = fileURLToPath(new URL('services.ts', import.meta.url));

describe('npm run services', () => {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-services-'));
  const env: NodeJS.ProcessEnv = { ...process.env, SLUICE_SERVICES_DIR: dir };

  function services(command: string): Promise<{ code: number | string; output: string }> {
    return new Promise((resolve) => {
      execFile(process.execPath, ['--import', 'tsx', program, command], { env }, (error, stdout, stderr) => {
        resolve({ code: error?.code ?? 0, output: stdout + stderr });
      });
    });
  }

  afterAll(async () => {
    await services('down');
    rmSync(dir, { recursive: true, force: true });
  });

  it('starts them once, says where they are, and ends them', async () => {
    // Ports of the system's choice, since the usual ones may be somebody's.
    env['SLUICE_KAFKA_PORT'] = String(await freePort());
    env['SLUICE_REDIS_PORT'] = String(await freePort());
    env['SLUICE_CLICKHOUSE_PORT'] = String(await freePort());

    const up = await services('up');
    expect(up).toMatchObject({ code: 0 });
    expect(up.output).toContain(`Kafka started at 127.0.0.1:${env['SLUICE_KAFKA_PORT']}`);
    expect(up.output).toContain(`Redis started at 127.0.0.1:${env['SLUICE_REDIS_PORT']}`);
    expect(up.output).toContain(`ClickHouse started at 127.0.0.1:${env['SLUICE_CLICKHOUSE_PORT']}`);
    const started = readRegistry(dir);

    expect((await services('up')).output).toContain(`Kafka is up at 127.0.0.1:${env['SLUICE_KAFKA_PORT']}`);
    expect(readRegistry(dir)).toEqual(started);
    expect(await services('status')).toMatchObject({
      code: 0,
      output: expect.stringMatching(/Kafka +up at.*\nRedis +up at.*\nClickHouse +up at/),
    });

    expect(await services('down')).toEqual({ code: 0, output: 'ClickHouse ended\nRedis ended\nKafka ended\n' });
    expect(await kafkaAnswers(started.kafka?.port ?? 0)).toBe(false);
    expect(await redisAnswers(started.redis?.port ?? 0)).toBe(false);
    expect(await services('status')).toEqual({
      code: 1,
      output: 'Kafka      down\nRedis      down\nClickHouse down\n',
    });
    expect(await services('down')).toEqual({
      code: 0,
      output: 'ClickHouse was not running\nRedis was not running\nKafka was not running\n',
    });
  });

  it('says how it is used when it is asked for something else', async () => {
    expect(await services('sideways')).toMatchObject({ code: 2, output: expect.stringContaining('up|down|status') });
  });

  it('says what is missing in one sentence where there is no Java', async () => {
    const former = env['JAVA_HOME'];
    env['JAVA_HOME'] = join(dir, 'nothing');
    const { code, output } = await services('up');
    if (former === undefined) delete env['JAVA_HOME'];
    else env['JAVA_HOME'] = former;
    expect(code).toBe(1);
    expect(output).toMatch(/^services: could not run .*; install Java 17 or newer .*\n$/);
  });
});
