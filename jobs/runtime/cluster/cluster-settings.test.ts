import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderDiagnostics } from '../../../engine/plan/render-diagnostics.ts';
import { readClusterSettings, type ClusterSettings, type SettingsOutcome } from './cluster-settings.ts';

let dir: string;
let file: string;

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-settings-'));
  file = join(dir, 'settings.yaml');
  writeFileSync(join(dir, 'password'), 'sesame\n');
});

afterAll(() => rmSync(dir, { recursive: true }));

async function read(yaml: string | null, environment: Readonly<Record<string, string>> = {}): Promise<SettingsOutcome> {
  if (yaml !== null) writeFileSync(file, yaml);
  return readClusterSettings(yaml === null ? null : file, environment);
}

async function sound(yaml: string | null, environment?: Readonly<Record<string, string>>): Promise<ClusterSettings> {
  const outcome = await read(yaml, environment);
  if (!outcome.ok) throw new Error(shown(outcome));
  return outcome.settings;
}

/** Everything that a person, or a log, is given of settings that are not sound. */
function shown(outcome: SettingsOutcome): string {
  if (outcome.ok) return '';
  return [renderDiagnostics(outcome.diagnostics, outcome.sources), ...outcome.problems].join('\n');
}

describe('the settings of the cluster profile', () => {
  it('bound what a task holds in memory: by the environment, else by the file, else by a default', async () => {
    const yaml = 'state: { workingSetBytes: 2000000 }';
    const environment = { SLUICE_STATE_WORKING_SET_BYTES: '3000000' };
    expect((await sound(null)).workingSetBytes).toBe(268_435_456);
    expect((await sound(yaml)).workingSetBytes).toBe(2_000_000);
    expect((await sound(yaml, environment)).workingSetBytes).toBe(3_000_000);
    for (const bytes of ['256MB', '1000', '-1']) {
      expect(shown(await read(null, { SLUICE_STATE_WORKING_SET_BYTES: bytes }))).toContain(
        'SLUICE_STATE_WORKING_SET_BYTES must be a whole number of bytes, 1048576 or more',
      );
    }
    expect(shown(await read('state: { workingSetBytes: 5 }'))).toContain('workingSetBytes');
    expect(shown(await read(null, { SLUICE_STATE_WORKING_SET: '3000000' }))).toContain('is not a setting');
  });

  it('come from the variables that docker-compose.yml sets', async () => {
    const settings = await sound(null, {
      SLUICE_KAFKA_BROKERS: 'a:19092,b:19092',
      SLUICE_REDIS_URL: 'redis://redis:6379',
      SLUICE_CLICKHOUSE_URL: 'http://sluice:secret@clickhouse:8123/sluice',
      SLUICE_SCHEMA_REGISTRY_URL: 'http://schema-registry:8081',
      SLUICE_DIR: 'elsewhere',
    });
    expect(settings).toEqual({
      kafka: {
        client: { brokers: ['a:19092', 'b:19092'], clientId: 'sluice' },
        replicas: null,
        sessionTimeoutMs: null,
      },
      redis: { topology: { kind: 'single', host: 'redis', port: 6379 } },
      clickHouse: { url: 'http://clickhouse:8123', username: 'sluice', password: 'secret', database: 'sluice' },
      schemaRegistry: { url: 'http://schema-registry:8081', credentials: null },
      workingSetBytes: 268_435_456,
    });
  });

  it('say whom to believe behind an https address of ClickHouse', async () => {
    const url = 'https://sluice@clickhouse:8443/db';
    const yaml = `clickhouse: { url: '${url}', tls: { ca: ca.pem, cert: own.pem, key: own.key } }`;
    const named = { caFile: join(dir, 'ca.pem'), certFile: join(dir, 'own.pem'), keyFile: join(dir, 'own.key') };
    expect((await sound(yaml)).clickHouse).toEqual({
      url: 'https://clickhouse:8443',
      username: 'sluice',
      database: 'db',
      tls: named,
    });
    const environment = { SLUICE_CLICKHOUSE_URL: url, SLUICE_CLICKHOUSE_TLS_CA_FILE: '/ca.pem' };
    expect((await sound(null, environment)).clickHouse?.tls).toEqual({ caFile: '/ca.pem' });
    const plain = { ...environment, SLUICE_CLICKHOUSE_URL: 'http://clickhouse' };
    expect(shown(await read(null, plain))).toContain('begins with https');
    expect(shown(await read(`clickhouse: { url: '${url}', tls: { cert: own.pem } }`))).toContain(
      'a certificate and its key',
    );
  });

  it('come from a file, its paths relative to it, and from the environment over it', async () => {
    const yaml = `
kafka:
  brokers: [a:9092]
  mechanism: SCRAM-SHA-512
  user: sluice
  passwordFile: password
  tls: { ca: ca.pem }
  replicas: 3
  sessionTimeout: 20s
redis: { url: rediss://redis, user: job, passwordFile: password, tls: { ca: ca.pem } }
clickhouse: { url: https://clickhouse:8443/fraud, user: sluice, passwordFile: password }
`;
    const settings = await sound(yaml, { SLUICE_KAFKA_BROKERS: 'b:9092', SLUICE_REDIS_PASSWORD: 'of the environment' });
    expect(settings.kafka).toEqual({
      client: {
        brokers: ['b:9092'],
        clientId: 'sluice',
        tls: { caFile: join(dir, 'ca.pem') },
        sasl: { mechanism: 'SCRAM-SHA-512', username: 'sluice', passwordFile: join(dir, 'password') },
      },
      replicas: 3,
      sessionTimeoutMs: 20_000,
    });
    expect(settings.redis).toEqual({
      topology: { kind: 'single', host: 'redis', port: 6379 },
      username: 'job',
      password: 'of the environment',
      tls: { caFile: join(dir, 'ca.pem') },
    });
    expect(settings.clickHouse).toEqual({
      url: 'https://clickhouse:8443',
      username: 'sluice',
      password: 'sesame',
      database: 'fraud',
    });
  });

  it.each([
    ['redis+cluster://a:7000,b:7001', { kind: 'cluster', nodes: [at('a', 7000), at('b', 7001)] }],
    ['redis+cluster://[::1]:7000', { kind: 'cluster', nodes: [at('::1', 7000)] }],
    [
      'rediss+sentinel://u:p%40ss@a,b:1/main/2',
      { kind: 'sentinel', group: 'main', sentinels: [at('a', 26379), at('b', 1)] },
    ],
  ])('know a Redis at %s', async (url, topology) => {
    const { redis } = await sound(null, { SLUICE_REDIS_URL: url });
    expect(redis?.topology).toEqual(topology);
    if (topology.kind === 'sentinel')
      expect(redis).toMatchObject({ username: 'u', password: 'p@ss', database: 2, tls: {} });
  });

  it.each([
    'http://redis:6379',
    'redis://',
    'redis://a:1,b:2',
    'redis://a/0/1',
    'redis+cluster://a:1/3',
    'redis+sentinel://a:1',
  ])('refuse %s as a Redis', async (url) => {
    expect(shown(await read(null, { SLUICE_REDIS_URL: url }))).toContain('SLUICE_REDIS_URL must be redis://');
  });

  it('say everything that is wrong at once, each at its place', async () => {
    const yaml = 'kafka:\n  brokers: [a]\n  mechanism: SCRAM\nredsi: {}\nclickhouse: { url: tcp://x:1 }\n';
    const words = shown(
      await read(yaml, { SLUICE_KAFKA_REPLICAS: 'many', SLUICE_KAFKA_BROKER: 'a:1', SLUICE_REDIS_USER: 'job' }),
    );
    expect(words).toContain('settings.yaml:2:13: error VALUE_WRONG: "a" is no broker\'s address');
    expect(words).toContain('settings.yaml:3:14: error VALUE_WRONG');
    expect(words).toContain('did you mean "redis"?');
    expect(words).toContain('settings.yaml:5:20: error VALUE_WRONG: "url" is no such address');
    expect(words).toContain('SLUICE_KAFKA_REPLICAS must be a whole number');
    expect(words).toContain('SLUICE_KAFKA_BROKER is not a setting');
    expect(words).toContain('nothing says where it is: set SLUICE_REDIS_URL');
  });

  it('name a file of settings, and a file of a password, that cannot be read', async () => {
    expect(shown(await readClusterSettings(join(dir, 'nowhere.yaml'), {}))).toContain('nowhere.yaml cannot be read');
    const environment = { SLUICE_CLICKHOUSE_URL: 'http://x:1', SLUICE_CLICKHOUSE_PASSWORD_FILE: join(dir, 'nothing') };
    expect(shown(await read(null, environment))).toContain(`'${join(dir, 'nothing')}'`);
  });

  it('show no secret, wherever somebody wrote one (I13)', async () => {
    const secret = 'hunter2';
    const yaml = `
kafka: { brokers: [a:9092], user: x, password: ${secret}, tls: off }
redis:
  url: redis://u:${secret}@h:1
  password: '${secret}'
clickhouse: { url: "http://u:${secret}@h:1" }
schemaRegistry: { url: "ftp://u:${secret}@h:1", secret: *${secret} }
`;
    for (const text of [yaml, yaml.replace('*', '')]) {
      const outcome = await read(text, {
        SLUICE_REDIS_URL: `redis://u:${secret}@h:1/x/y`,
        SLUICE_CLICKHOUSE_URL: `u:${secret}@h`,
        SLUICE_KAFKA_PASSWORD: secret,
        SLUICE_KAFKA_PASSWORD_FILE: 'password',
        SLUICE_KAFKA_SASL_MECHANISM: secret,
      });
      expect(outcome.ok).toBe(false);
      const words = shown(outcome);
      expect(words).toContain('SLUICE_KAFKA_PASSWORD and SLUICE_KAFKA_PASSWORD_FILE must not both be set');
      expect(words).not.toContain(secret);
    }
    expect(shown(await read(yaml.replace('*', '')))).toContain('"url" holds a password');
  });
});

function at(host: string, port: number): { host: string; port: number } {
  return { host, port };
}
