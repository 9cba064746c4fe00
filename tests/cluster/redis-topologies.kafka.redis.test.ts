import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { RedisTaskState } from '../../engine/state/redis/redis-task-state.ts';
import { readClusterSettings } from '../../jobs/runtime/cluster/cluster-settings.ts';
import { makeCertificates, type Certificates } from '../../tools/services/certificates.ts';
import { freePort } from '../../tools/services/free-port.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { startSentinel } from '../../tools/services/start-sentinel.ts';
import { expectCardsAnsweredOnce, newCardJob, produceCards, SluiceCommand, TopicReader } from './card-job.ts';

let dir: string;
let broker: KafkaService;
const commands: SluiceCommand[] = [];
const servers: RedisService[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-redis-'));
  broker = await startKafka({ dir: join(dir, 'kafka'), settings: { 'group.min.session.timeout.ms': '1000' } });
});

afterEach(async () => {
  for (const command of commands.splice(0)) command[Symbol.dispose]();
  for (const started of servers.splice(0)) await started.kill();
});

afterAll(async () => {
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

/** The command, told where Redis is by these variables. */
function run(job: string, redis: Readonly<Record<string, string>>, ...args: readonly string[]): SluiceCommand {
  const environment = { SLUICE_KAFKA_BROKERS: broker.bootstrap, ...redis };
  const command = new SluiceCommand({ environment }, ['run', job, '--profile', 'cluster', ...args]);
  commands.push(command);
  return command;
}

async function server(name: string, settings: Readonly<Record<string, string>> = {}): Promise<RedisService> {
  const started = await startRedis({ dir: join(dir, name), settings });
  servers.push(started);
  return started;
}

describe('a job whose Redis asks for TLS, a certificate, and a user with few rights', () => {
  let certificates: Certificates;
  let variables: Record<string, string>;

  beforeAll(async () => {
    const folder = join(dir, 'certificates');
    mkdirSync(folder);
    certificates = makeCertificates(folder);
    writeFileSync(join(dir, 'password'), 'sesame\n');
    // What the documentation asks for, and nothing else, on the job's keys alone.
    const rights = '+eval +hmget +hget +hset +hdel +hscan +hkeys +hgetall +unlink +info';
    writeFileSync(join(dir, 'users.acl'), `user default off\nuser sluice on >sesame ~sluice:* -@all ${rights}\n`);
  });

  async function secured(name: string): Promise<void> {
    const port = await freePort();
    await server(name, {
      port: '0',
      'tls-port': String(port),
      'tls-cert-file': certificates.server,
      'tls-key-file': certificates.serverKey,
      'tls-ca-cert-file': certificates.ca,
      'tls-auth-clients': 'yes',
      aclfile: join(dir, 'users.acl'),
    });
    variables = {
      SLUICE_REDIS_URL: `rediss://localhost:${port}`,
      SLUICE_REDIS_USER: 'sluice',
      SLUICE_REDIS_PASSWORD_FILE: join(dir, 'password'),
      SLUICE_REDIS_TLS_CA_FILE: certificates.ca,
      SLUICE_REDIS_TLS_CERT_FILE: certificates.client,
      SLUICE_REDIS_TLS_KEY_FILE: certificates.clientKey,
    };
  }

  it('answers each record once, and goes on from its state', async () => {
    await secured('secured');
    const services = { dir, bootstrap: broker.bootstrap, environment: {} };
    const job = await newCardJob(services, 'secured');
    for (const [from, to] of [
      [0, 1_000],
      [1_000, 2_000],
    ] as const) {
      await produceCards(services, 'secured', from, to);
      const command = run(job, variables, '--trigger', 'availableNow');
      expect([await command.ended, command.stderr]).toEqual([0, expect.not.stringContaining('sesame')]);
      expect(command.figures).toMatchObject({ read: 1_000, scored: 1_000 });
    }
    await using reader = await TopicReader.open(services, 'secured.out');
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 2_000);
  });

  it.each([
    [
      'no certificate of one’s own',
      { SLUICE_REDIS_TLS_CERT_FILE: '', SLUICE_REDIS_TLS_KEY_FILE: '' },
      /REDIS_UNAVAILABLE/,
    ],
    [
      'an authority that one does not know',
      { SLUICE_REDIS_TLS_CA_FILE: '' },
      /REDIS_UNAVAILABLE.*certificate|certificate/,
    ],
    ['a wrong password', { SLUICE_REDIS_PASSWORD_FILE: '', SLUICE_REDIS_PASSWORD: 'sesam' }, /REDIS_REFUSED|WRONGPASS/],
  ])(
    'is told so by name for %s',
    async (_, changes, words) => {
      await secured(`refusing-${Object.keys(changes).join()}`);
      const outcome = await readClusterSettings(null, { ...variables, ...changes });
      if (!outcome.ok || outcome.settings.redis === null) throw new Error('the settings are sound');
      const troubles: string[] = [];
      const client = connectRedis({ ...outcome.settings.redis, commandTimeoutMs: 3_000 }, ({ message }) => {
        troubles.push(message);
      });
      const state = new RedisTaskState(client, { task: 't', owner: 'a' });
      const error = await state.claim(0).catch((thrown: unknown) => thrown);
      client.disconnect();
      expect(`${String((error as { code?: string }).code)} ${String(error)} ${troubles.join(' ')}`).toMatch(words);
      expect(`${String(error)} ${troubles.join(' ')}`).not.toContain('sesam');
    },
    60_000,
  );
});

describe('a job whose Redis is watched by Sentinels', () => {
  it('goes on when the primary is killed and a replica takes over, and answers each record once', async () => {
    const [primary, replica] = [await server('primary'), await server('replica')];
    const group = 'main';
    servers.push(await startSentinel({ dir: join(dir, 'sentinel'), group, primary }));
    const sentinel = servers.at(-1);
    const asReplica = connectRedis(
      { topology: { kind: 'single', host: replica.host, port: replica.port } },
      () => undefined,
    );
    await asReplica.call('replicaof', primary.host, String(primary.port));
    const isInStep = async (): Promise<boolean> => /master_link_status:up/.test(await asReplica.info('replication'));
    await vi.waitUntil(isInStep, { timeout: 120_000 });
    // The Sentinel asks the primary for its replicas every ten seconds.
    const watcher = connectRedis(
      { topology: { kind: 'single', host: '127.0.0.1', port: sentinel?.port ?? 0 } },
      () => undefined,
    );
    const knowsReplica = async (): Promise<boolean> => /slaves=1/.test(await watcher.info('sentinel'));
    await vi.waitUntil(knowsReplica, { timeout: 120_000, interval: 200 });

    const services = { dir, bootstrap: broker.bootstrap, environment: {} };
    const job = await newCardJob(services, 'watched');
    await produceCards(services, 'watched', 0, 4_000);
    const command = run(job, { SLUICE_REDIS_URL: `redis+sentinel://127.0.0.1:${sentinel?.port ?? 0}/${group}/0` });
    await using reader = await TopicReader.open(services, 'watched.out');
    await reader.until(({ length }) => length >= 1_000);
    await primary.kill();
    await produceCards(services, 'watched', 4_000, 8_000);
    await reader.until(({ length }) => length >= 8_000);
    expect(await asReplica.info('replication')).toContain('role:master');
    asReplica.disconnect();
    watcher.disconnect();
    command.child.kill('SIGTERM');
    expect([await command.ended, command.stderr]).toEqual([0, expect.stringContaining('Redis')]);
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 8_000);
  });
});
