import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Ended } from './sluice-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const moduleOf = (source: string): string => `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`;

let folder: string;
let loader: string;

/** Loads, in the place of the Kafka client, what ends as the client does where its binary was left out: a CommonJS module that throws while it is evaluated. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-without-kafka-'));
  const client = join(folder, 'client.cjs');
  writeFileSync(client, "throw new Error('Could not locate the bindings file');");
  const hook = moduleOf(`export async function resolve(specifier, context, next) {
    if (specifier !== '@confluentinc/kafka-javascript') return next(specifier, context);
    return { url: '${pathToFileURL(client).href}', format: 'commonjs', shortCircuit: true };
  }`);
  loader = moduleOf(`import { register } from 'node:module'; register('${hook}');`);
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function sluiceWithoutKafka(...args: readonly string[]): Promise<Ended> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--import', loader, 'cli/main.ts', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      NO_COLOR: '1',
      SLUICE_KAFKA_BROKERS: '127.0.0.1:9',
      SLUICE_REDIS_URL: 'redis://127.0.0.1:9',
      SLUICE_CLICKHOUSE_URL: 'http://127.0.0.1:9',
    },
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

describe('the command where the Kafka client was left out', () => {
  it('does everything that needs no cluster', async () => {
    expect(await sluiceWithoutKafka('--help')).toMatchObject({ code: 0, stderr: '' });
    expect(await sluiceWithoutKafka('explain', 'jobs/fraud-scoring.yaml')).toMatchObject({ code: 0 });
  });

  it('says what is missing, and how to get it, for what does', async () => {
    for (const args of [
      ['run', 'jobs/fraud-scoring.yaml', '--profile', 'cluster'],
      ['doctor', 'jobs/fraud-scoring.yaml'],
      ['sink', 'jobs/clickhouse-sink.yaml'],
    ]) {
      const { code, stderr } = await sluiceWithoutKafka(...args);
      expect(code).toBe(1);
      expect(stderr).toContain('KAFKA_CLIENT_MISSING');
      expect(stderr).toContain('make setup-cluster');
      // Nothing but this: no stack of a second error behind it.
      expect(stderr.trimEnd().split('\n')).toHaveLength(1);
    }
  });
});
