import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import type { Ended } from './sluice-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

const moduleOf = (source: string): string => `data:text/javascript;base64,${Buffer.from(source).toString('base64')}`;

/** Says of the Kafka client what Node says where its binary was left out. */
const hook = moduleOf(`export async function resolve(specifier, context, next) {
  if (specifier === '@confluentinc/kafka-javascript') throw new Error('Could not locate the bindings file');
  return next(specifier, context);
}`);
const loader = moduleOf(`import { register } from 'node:module'; register('${hook}');`);

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
    }
  });
});
