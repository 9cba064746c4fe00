import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { makeCertificates, storePassword } from '../../../tools/services/certificates.ts';
import { startKafka, type KafkaService } from '../../../tools/services/start-kafka.ts';
import { BrokerWire } from './broker-wire.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import type { KafkaSettings } from './kafka-settings.ts';
import { KafkaSource } from './kafka-source.ts';

describe('a Kafka that asks who one is', () => {
  let dir: string;
  let broker: KafkaService;
  let settings: KafkaSettings;

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sluice-security-'));
    const { ca, client, clientKey, serverStore } = makeCertificates(dir);
    const login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_sluice="sesame";';
    broker = await startKafka({
      dir: join(dir, 'kafka'),
      settings: {
        'listener.security.protocol.map': 'PLAINTEXT:SASL_SSL,CONTROLLER:PLAINTEXT',
        'inter.broker.listener.name': 'PLAINTEXT',
        'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-512',
        'listener.name.plaintext.scram-sha-512.sasl.jaas.config':
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        'sasl.mechanism.inter.broker.protocol': 'PLAIN',
        'listener.name.plaintext.plain.sasl.jaas.config': `${login.slice(0, -1)} username="sluice" password="sesame";`,
        'ssl.keystore.type': 'PKCS12',
        'ssl.keystore.location': serverStore,
        'ssl.keystore.password': storePassword,
        'ssl.truststore.type': 'PEM',
        'ssl.truststore.location': ca,
        'ssl.client.auth': 'required',
      },
    });
    writeFileSync(join(dir, 'password'), 'sesame\n');
    settings = {
      brokers: [broker.bootstrap],
      clientId: 'test',
      connectTimeoutMs: 10_000,
      tls: { caFile: ca, certFile: client, keyFile: clientKey },
      sasl: { mechanism: 'PLAIN', username: 'sluice', passwordFile: join(dir, 'password') },
    };
  });

  afterAll(async () => {
    await broker.kill();
    rmSync(dir, { recursive: true, force: true });
  });

  it('lets in who has the certificate and the password, read from a file', async () => {
    using admin = new KafkaAdmin(settings);
    await admin.createTopic({ topic: 'secured', partitions: 3 });
    expect(await admin.partitionCount('secured')).toBe(3);
    expect(await admin.partitionCount('unknown')).toBeNull();
    await using source = await KafkaSource.open({ settings, topic: 'secured', partitions: 'all' });
    expect(await source.ranges()).toHaveLength(3);
  });

  it('tells who is let in the settings of a topic, which the client cannot ask for', async () => {
    using admin = new KafkaAdmin(settings);
    await admin.createTopic({ topic: 'kept', partitions: 1, settings: { 'cleanup.policy': 'compact' } });
    using wire = await BrokerWire.open(settings);
    const kept = await wire.topicSettings('kept');
    // The topic's own setting, one of the broker, and one that nobody has set.
    const names = ['cleanup.policy', 'retention.ms', 'segment.bytes'];
    expect(names.map((name) => kept.get(name))).toEqual(['compact', '-1', '1073741824']);
    await expect(wire.topicSettings('unknown')).rejects.toMatchObject({ code: 'TOPIC_MISSING' });
  });

  it.each(['PLAIN', 'SCRAM-SHA-512'] as const)(
    'tells them to nobody who knows a wrong password (%s)',
    async (mechanism) => {
      const sasl = { mechanism, username: 'sluice', password: 'sesam' } as const;
      const error = await BrokerWire.open({ ...settings, sasl }).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: 'KAFKA_REFUSED', message: expect.stringContaining('check the user') });
      expect(String(error)).not.toContain('sesam');
    },
  );

  it('tells them to nobody who comes without TLS, or believes another authority', async () => {
    const { tls: _, ...open } = settings;
    await expect(BrokerWire.open(open)).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
    await expect(BrokerWire.open({ ...settings, tls: {} })).rejects.toMatchObject({ code: 'KAFKA_UNAVAILABLE' });
  });

  it('refuses a wrong password, and says that it was refused', async () => {
    const wrong: KafkaSettings = {
      ...settings,
      connectTimeoutMs: 2_000,
      sasl: { mechanism: 'PLAIN', username: 'sluice', password: 'sesam' },
    };
    await expect(KafkaSource.open({ settings: wrong, topic: 'secured', partitions: 'all' })).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('check the user, the password'),
    });
  });

  it('is refused itself when its certificate is of an authority that one does not know', async () => {
    const wrong: KafkaSettings = { ...settings, connectTimeoutMs: 2_000, tls: {} };
    await expect(KafkaSource.open({ settings: wrong, topic: 'secured', partitions: 'all' })).rejects.toMatchObject({
      code: 'KAFKA_REFUSED',
      message: expect.stringContaining('certificate'),
    });
  });

  it('does not answer who comes without TLS', async () => {
    const { brokers, clientId } = settings;
    const wrong: KafkaSettings = { brokers, clientId, connectTimeoutMs: 2_000 };
    await expect(KafkaSource.open({ settings: wrong, topic: 'secured', partitions: 'all' })).rejects.toMatchObject({
      code: 'KAFKA_UNAVAILABLE',
    });
  });

  it('is not asked at all when the password cannot be read', () => {
    const sasl = { mechanism: 'PLAIN', username: 'sluice', passwordFile: join(dir, 'nowhere') } as const;
    expect(() => new KafkaAdmin({ ...settings, sasl })).toThrow(expect.objectContaining({ code: 'SECRET_UNREADABLE' }));
  });
});
