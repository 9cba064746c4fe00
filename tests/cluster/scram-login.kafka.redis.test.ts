import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BrokerWire } from '../../engine/source/kafka/broker-wire.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { KafkaSource } from '../../engine/source/kafka/kafka-source.ts';
import { freePort } from '../../tools/services/free-port.ts';
import { startKafka, type KafkaService } from '../../tools/services/start-kafka.ts';
import { startRedis, type RedisService } from '../../tools/services/start-redis.ts';
import { expectCardsAnsweredOnce, newCardJob, produceCards, SluiceCommand, TopicReader } from './card-job.ts';

const user = { name: 'sluice', password: 'open-sesame' };
const mechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;

let dir: string;
let broker: KafkaService;
let redis: RedisService;
/** Of the listener that asks nobody: for the test's own part. */
let openPort: number;

/** Two listeners: one where one logs in by SCRAM, as the clients' port is, and one for whoever comes. */
beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-scram-'));
  openPort = await freePort();
  const port = await freePort();
  const controllerPort = await freePort();
  broker = await startKafka({
    dir: join(dir, 'kafka'),
    port,
    scramUser: user,
    settings: {
      'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
      listeners: `PLAINTEXT://127.0.0.1:${port},OPEN://127.0.0.1:${openPort},CONTROLLER://127.0.0.1:${controllerPort}`,
      'advertised.listeners': `PLAINTEXT://127.0.0.1:${port},OPEN://127.0.0.1:${openPort}`,
      'listener.security.protocol.map': 'PLAINTEXT:SASL_PLAINTEXT,OPEN:PLAINTEXT,CONTROLLER:PLAINTEXT',
      'inter.broker.listener.name': 'OPEN',
      'sasl.enabled.mechanisms': mechanisms.join(),
      ...Object.fromEntries(
        mechanisms.map((mechanism) => [
          `listener.name.plaintext.${mechanism.toLowerCase()}.sasl.jaas.config`,
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        ]),
      ),
      'group.min.session.timeout.ms': '1000',
    },
  });
  redis = await startRedis({ dir: join(dir, 'redis') });
  writeFileSync(join(dir, 'password'), `${user.password}\n`);
});

afterAll(async () => {
  await redis.kill();
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

describe.each(mechanisms)('a Kafka that one logs in to by %s', (mechanism) => {
  const login = (password: string): KafkaSettings => ({
    brokers: [broker.bootstrap],
    clientId: 'test',
    connectTimeoutMs: 3_000,
    sasl: { mechanism, username: user.name, password },
  });
  const topic = `of.${mechanism}`;

  it('lets a reader, an admin and our own questions in who know the password', async () => {
    using admin = new KafkaAdmin(login(user.password));
    expect(await admin.createTopic({ topic, partitions: 3 })).toBe('created');
    await using source = await KafkaSource.open({ settings: login(user.password), topic, partitions: 'all' });
    expect(await source.ranges()).toHaveLength(3);
    using wire = await BrokerWire.open(login(user.password));
    expect((await wire.topicSettings(topic)).get('cleanup.policy')).toBe('delete');
  });

  it('refuses those who do not, by name', async () => {
    const wrong = login('close-sesame');
    const refused = { code: 'KAFKA_REFUSED', message: expect.not.stringContaining('close-sesame') };
    await expect(KafkaSource.open({ settings: wrong, topic, partitions: 'all' })).rejects.toMatchObject(refused);
    await expect(BrokerWire.open(wrong)).rejects.toMatchObject(refused);
  });

  it('runs a job whose settings name the user and the file with the password', async () => {
    const name = mechanism.toLowerCase();
    const services = { dir, bootstrap: `127.0.0.1:${openPort}`, environment: {} };
    const job = await newCardJob(services, name);
    await produceCards(services, name, 0, 1_000);
    const environment = {
      SLUICE_KAFKA_BROKERS: broker.bootstrap,
      SLUICE_KAFKA_SASL_MECHANISM: mechanism,
      SLUICE_KAFKA_USER: user.name,
      SLUICE_KAFKA_PASSWORD_FILE: join(dir, 'password'),
      SLUICE_REDIS_URL: `redis://${redis.host}:${redis.port}`,
    };
    using command = new SluiceCommand({ environment }, [
      'run',
      job,
      '--profile',
      'cluster',
      '--trigger',
      'availableNow',
    ]);
    expect([await command.ended, command.stderr]).toEqual([0, expect.not.stringContaining(user.password)]);
    expect(command.figures).toMatchObject({ read: 1_000, scored: 1_000 });
    await using reader = await TopicReader.open(services, `${name}.out`);
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 1_000);
  });
});
