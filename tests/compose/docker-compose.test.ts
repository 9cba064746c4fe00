import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { loadJob } from '../../jobs/load-job.ts';
import { readClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { inputTopics, writtenTopics } from '../../jobs/runtime/cluster/job-topics.ts';
import { planStages } from '../../jobs/runtime/stages/stages.ts';
import { kafkaVersion } from '../../tools/services/kafka-jars.ts';

interface ComposeService {
  readonly image?: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number>>;
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
}

interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

const top = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const compose = parse(readFileSync(top('docker-compose.yml'), 'utf8'), { merge: true }) as Compose;
const services = Object.entries(compose.services);
/** Those that run our own command. */
const ours = services.filter(([, { image = '' }]) => image.startsWith('sluice:'));

function service(name: string): ComposeService {
  const found = compose.services[name];
  if (found === undefined) throw new Error(`docker-compose.yml has no service ${name}`);
  return found;
}

/** The hosts and ports that a service can be reached at by the others, as its settings say. */
const insidePorts: Readonly<Record<string, number>> = {
  kafka: 19092,
  redis: 6379,
  clickhouse: 8123,
  'schema-registry': 8081,
};

describe('docker-compose.yml', () => {
  it.each(services)('pins the image of %s to a version', (_, { image = '' }) => {
    expect(image).toMatch(/^[a-z/-]+:\d+(\.\d+)+(-alpine)?$/);
  });

  it('runs the Kafka that the tests run', () => {
    expect(service('kafka').image).toBe(`apache/kafka:${kafkaVersion}`);
    expect(service('topics').image).toBe(service('kafka').image);
  });

  it('runs the version of ClickHouse that is embedded in the local profile', () => {
    // In a process of its own: the suites that share this one may be forked from it.
    const program = "process.stdout.write(require('chdb').query('SELECT version()', 'TabSeparated'))";
    const [year, month] = execFileSync(process.execPath, ['-e', program], { encoding: 'utf8' }).split('.');
    expect(service('clickhouse').image).toMatch(`clickhouse/clickhouse-server:${year}.${month}.`);
  });

  it.each(services)('opens the ports of %s to this machine only', (_, { ports = [] }) => {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:(\d+):\1$/);
  });

  it('keeps data in named volumes only, each of them declared', () => {
    const mounted = services.flatMap(([, { volumes = [] }]) => volumes.map((volume) => volume.split(':')[0] ?? ''));
    expect(mounted.toSorted()).toEqual(Object.keys(compose.volumes).toSorted());
    expect(mounted.length).toBeGreaterThan(0);
  });

  it('checks the health of every service that stays, and waits for it before whatever needs it', () => {
    for (const name of Object.keys(insidePorts)) expect(service(name).healthcheck?.test.length).toBeGreaterThan(1);
    for (const [, { depends_on: needs = {} }] of services) {
      for (const [name, { condition }] of Object.entries(needs)) {
        expect(condition).toBe(service(name).healthcheck ? 'service_healthy' : 'service_completed_successfully');
      }
    }
  });

  it('keeps Kafka from inventing topics, and committed positions for longer than a job may stand still', () => {
    const { environment = {} } = service('kafka');
    expect(environment['KAFKA_AUTO_CREATE_TOPICS_ENABLE']).toBe('false');
    expect(Number(environment['KAFKA_OFFSETS_RETENTION_MINUTES'])).toBeGreaterThanOrEqual(7 * 24 * 60);
  });

  it('starts a Redis that evicts nothing and writes an append-only file', () => {
    const command = service('redis').command ?? [];
    const setting = (name: string): string | undefined => command[command.indexOf(`--${name}`) + 1];
    expect(setting('appendonly')).toBe('yes');
    expect(setting('maxmemory-policy')).toBe('noeviction');
  });

  it('tells our own processes addresses at which the services listen, by the settings that they read', async () => {
    for (const [, { environment = {} }] of ours) {
      // As Docker fills in what is not set: the default after ":-".
      const given = Object.entries(environment).map(([name, value]) => [
        name,
        String(value).replaceAll(/\$\{\w+:-(\w*)\}/g, '$1'),
      ]);
      const outcome = await readClusterSettings(null, Object.fromEntries(given) as Record<string, string>);
      expect(outcome).toMatchObject({ ok: true });
      if (!outcome.ok) continue;
      const { kafka, redis, clickHouse, schemaRegistry } = outcome.settings;
      expect(kafka?.client.brokers).toEqual([`kafka:${insidePorts['kafka']}`]);
      expect(redis?.topology).toEqual({ kind: 'single', host: 'redis', port: insidePorts['redis'] });
      expect(clickHouse).toMatchObject({ url: `http://clickhouse:${insidePorts['clickhouse']}`, database: 'sluice' });
      expect(schemaRegistry?.url).toBe(`http://schema-registry:${insidePorts['schema-registry']}`);
    }
  });

  it('runs commands that there are, on job files that are sound', async () => {
    expect(ours.map(([name]) => name).toSorted()).toEqual(['clickhouse-sink', 'fraud-scoring', 'migrate']);
    for (const [, { command = [] }] of ours) {
      const [subcommand = '', file] = command;
      expect(existsSync(top(`cli/commands/${subcommand}.ts`))).toBe(true);
      if (file !== undefined) expect(existsSync(top(file))).toBe(true);
    }
    expect(service('fraud-scoring').command?.slice(0, 4)).toEqual([
      'run',
      'jobs/fraud-scoring.yaml',
      '--profile',
      'cluster',
    ]);
    expect(await loadJob(top('jobs/fraud-scoring.yaml'))).toMatchObject({ ok: true });
  });

  it('makes the topics that the job reads and writes before it starts, and whatever it needs besides', async () => {
    const outcome = await loadJob(top('jobs/fraud-scoring.yaml'));
    if (!outcome.ok) throw new Error('the job must be sound');
    const { job } = outcome;
    const script = (service('topics').command ?? []).join('\n');
    const exchanges = planStages(job).flatMap(({ output }) => (output === 'results' ? [] : [output.topic]));
    const named = [...inputTopics(job), ...writtenTopics(job, planStages(job)).map(({ topic }) => topic)];
    // Topics between stages are made by the job, with settings of its own.
    for (const topic of named) if (!exchanges.includes(topic)) expect(script).toContain(`create ${topic} `);
    const needs = service('fraud-scoring').depends_on ?? {};
    expect(Object.keys(needs)).toEqual(
      expect.arrayContaining(['topics', 'redis', 'clickhouse', 'migrate', 'schema-registry']),
    );
  });

  it('builds the job from a Dockerfile that is there, under the version in package.json', () => {
    const { build, image } = service('fraud-scoring');
    expect(existsSync(top(build?.dockerfile ?? ''))).toBe(true);
    const { version } = JSON.parse(readFileSync(top('package.json'), 'utf8')) as { version: string };
    expect(image).toBe(`sluice:${version}`);
    for (const [, { image: other }] of ours) expect(other).toBe(image);
  });
});
