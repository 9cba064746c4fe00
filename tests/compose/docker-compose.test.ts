import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
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

  it('tells the job addresses at which the services listen, and starts it after them', () => {
    const { environment = {}, depends_on: needs = {} } = service('fraud-scoring');
    const named = Object.values(environment).flatMap((value) => [...String(value).matchAll(/([a-z-]+):(\d+)/g)]);
    expect(named.map(([, host = '', port]) => [host, Number(port)])).toEqual(
      expect.arrayContaining(Object.entries(insidePorts)),
    );
    expect(Object.keys(needs)).toEqual(expect.arrayContaining(['topics', 'redis', 'clickhouse', 'schema-registry']));
  });

  it('builds the job from a Dockerfile that is there, under the version in package.json', () => {
    const { build, image } = service('fraud-scoring');
    expect(existsSync(top(build?.dockerfile ?? ''))).toBe(true);
    const { version } = JSON.parse(readFileSync(top('package.json'), 'utf8')) as { version: string };
    expect(image).toBe(`sluice:${version}`);
  });
});
