import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, it } from 'vitest';
import { isRunning, waitUntil } from './launched-process.ts';
import { redisAnswers, startRedis, type RedisService } from './start-redis.ts';

describe('a Redis of ours', () => {
  const dirs: string[] = [];
  const services: RedisService[] = [];

  function newDir(): string {
    const dir = mkdtempSync(join(tmpdir(), 'sluice-redis-'));
    dirs.push(dir);
    return dir;
  }

  async function start(...[options]: Parameters<typeof startRedis>): Promise<RedisService> {
    const service = await startRedis(options);
    services.push(service);
    return service;
  }

  async function ask(port: number, command: string, ...args: string[]): Promise<unknown> {
    const client = new Redis(port, '127.0.0.1');
    try {
      return await client.call(command, ...args);
    } finally {
      client.disconnect();
    }
  }

  afterEach(async () => {
    await Promise.all(services.splice(0).map((service) => service.kill()));
    for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
  });

  it('evicts nothing and writes an append-only file, unless told otherwise', async () => {
    const usual = await start({ dir: newDir() });
    expect(await ask(usual.port, 'CONFIG', 'GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction']);
    expect(await ask(usual.port, 'CONFIG', 'GET', 'appendonly')).toEqual(['appendonly', 'yes']);

    const other = await start({ dir: newDir(), settings: { 'maxmemory-policy': 'allkeys-lru' } });
    expect(await ask(other.port, 'CONFIG', 'GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'allkeys-lru']);
  });

  it('keeps its data through an orderly stop', async () => {
    const dir = newDir();
    const first = await start({ dir });
    await ask(first.port, 'SET', 'card', 'seven');
    await first.stop();
    expect(await redisAnswers(first.port)).toBe(false);

    const second = await start({ dir });
    expect(await ask(second.port, 'GET', 'card')).toBe('seven');
  });

  it('answers again after a freeze', async () => {
    const service = await start({ dir: newDir() });
    service.freeze();
    expect(await redisAnswers(service.port)).toBe(false);
    service.thaw();
    expect(await redisAnswers(service.port)).toBe(true);
  });

  it('ends by itself when the process that started it is killed', async () => {
    const module = fileURLToPath(new URL('start-redis.ts', import.meta.url));
    const program = `
      const { startRedis } = await import(${JSON.stringify(module)});
      const { process: started } = await startRedis({ dir: ${JSON.stringify(newDir())} });
      process.stdout.write(JSON.stringify(started) + '\\n');
      setInterval(() => {}, 1000);`;
    const caller = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await Promise.race([once(caller.stdout, 'data'), once(caller, 'exit')])) as unknown[];
    const started = JSON.parse(String(line)) as RedisService['process'];
    expect(isRunning(started)).toBe(true);

    caller.kill('SIGKILL');

    expect(await waitUntil(() => !isRunning(started), 10_000)).toBe(true);
  });
});
