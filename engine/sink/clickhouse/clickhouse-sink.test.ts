import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ClusterClickHouse } from '../../clickhouse/clickhouse-access.ts';
import { EmbeddedClickHouse } from '../../clickhouse/embedded-clickhouse.ts';
import { applyMigrations, readMigrations } from '../../clickhouse/migrations.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { listedSchemas } from '../../serde/testing/listed-schemas.ts';
import { messageBatchOf, type MessageInput } from '../../storage/message-batch-builder.ts';
import { Storage } from '../../storage/storage.ts';
import { Program } from '../../storage/testing/program.ts';
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts';
import { systemClock } from '../../time/clock.ts';
import { ClickHouseSink, chunkToken } from './clickhouse-sink.ts';
import { InsertBody } from './insert-body.ts';
import { predictionMessages } from './testing/predictions.ts';

const followingProgram = new URL('./testing/following-program.ts', import.meta.url);

/** A batch as a topic gives it: offsets by partition from `from`. */
function batchOf(topic: string, messages: readonly MessageInput[], from = 0): MessageBatch {
  const next = new Map<number, number>();
  return messageBatchOf(
    topic,
    messages.map((message) => {
      const partition = message.partition ?? 0;
      const offset = next.get(partition) ?? from;
      next.set(partition, offset + 1);
      return { ...message, offset, timestampMs: 1_769_000_000_123 };
    }),
  );
}

describe('the ClickHouse sink', () => {
  const directory = temporaryDirectory();
  let clickHouse: EmbeddedClickHouse;

  beforeAll(async () => {
    clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
    await applyMigrations(await clickHouse.client());
  });

  afterAll(async () => {
    await clickHouse[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  async function rows(query: string): Promise<unknown[]> {
    return (await (await clickHouse.client()).query({ query, format: 'JSONEachRow' })).json();
  }

  it('puts predictions into typed columns, features by name, and where they stand', async () => {
    await using sink = new ClickHouseSink({ clickHouse, table: 'predictions', registry: listedSchemas() });
    await sink.write(batchOf('typed', predictionMessages(0, 200), 5_000));
    const [seventh] = await rows("SELECT * FROM predictions_current WHERE transaction_id = 'tx 7'");
    expect(seventh).toEqual({
      transaction_id: 'tx 7',
      amount: 1.75,
      rolling_avg_7d: 40.5,
      amount_to_avg_ratio: 7 / 162,
      prediction: 1,
      probability: 0.9,
      threshold: 0.5,
      card_id: 'card 7',
      terminal_id: 'terminal 0',
      event_time: '2023-11-14 22:20:20.000',
      topic_timestamp: '2026-01-21 12:53:20.123',
      model: 'fraud',
      model_version: '1',
      model_digest: 'm',
      feature_set_digest: 'f',
      features: { amount: 1.75, txn_count_1h: 2, rolling_avg_7d: 40.5 },
      reasons: [],
      late: false,
      degraded: false,
      source_partition: 1,
      source_offset: 3,
      topic_partition: 1,
      topic_offset: 5_003,
    });
    const [tenth] = await rows(
      "SELECT rolling_avg_7d, features['rolling_avg_7d'] AS feature FROM predictions WHERE transaction_id = 'tx 10'",
    );
    expect(tenth).toEqual({ rolling_avg_7d: null, feature: null });
  });

  it('writes a chunk once, however often it is sent', async () => {
    await using sink = new ClickHouseSink({ clickHouse, table: 'predictions', registry: listedSchemas() });
    await (await clickHouse.client()).command({ query: 'TRUNCATE TABLE predictions' });
    const chunk = batchOf('repeated', predictionMessages(0, 500));
    for (let time = 0; time < 3; time++) await sink.write(chunk);
    expect(await rows('SELECT count() AS rows FROM predictions')).toEqual([{ rows: 500 }]);
  });

  it('counts right through the views while rows that were cut otherwise are still there twice', async () => {
    await using sink = new ClickHouseSink({ clickHouse, table: 'predictions', registry: listedSchemas() });
    const client = await clickHouse.client();
    await client.command({ query: 'TRUNCATE TABLE predictions' });
    await client.command({ query: 'SYSTEM STOP MERGES predictions' });
    const messages = predictionMessages(0, 400);
    await sink.write(batchOf('cut', messages.slice(0, 300)));
    await sink.write(batchOf('cut', messages.slice(0, 301)));
    await sink.write(batchOf('cut', messages));
    expect(await rows('SELECT count() AS rows FROM predictions')).toEqual([{ rows: 1_001 }]);
    expect(await rows('SELECT count() AS rows, countIf(prediction = 1) AS alerts FROM predictions_current')).toEqual([
      { rows: 400, alerts: 8 },
    ]);
    expect(
      await rows(
        'SELECT sum(predictions) AS predictions, sum(alerts) AS alerts, sum(late_records) AS late FROM alerts_hourly',
      ),
    ).toEqual([{ predictions: 400, alerts: 8, late: 4 }]);
    expect(
      await rows('SELECT sum(transactions) AS transactions, sum(alerts) AS alerts FROM alerted_cards_daily'),
    ).toEqual([{ transactions: 8, alerts: 8 }]);
    await client.command({ query: 'SYSTEM START MERGES predictions' });
  });

  it('takes dead letters, and leaves their bytes out', async () => {
    await using sink = new ClickHouseSink({ clickHouse, table: 'dead_letters', registry: listedSchemas() });
    const letter = {
      topic: 'transactions',
      partition: 1,
      offset: 17,
      stage: 'decode',
      code: 'JSON_MALFORMED',
      message: 'must be JSON',
    };
    const value = JSON.stringify({ ...letter, value: Buffer.from('4111 1111 1111 1111').toString('base64') });
    await sink.write(batchOf('transactions_dead_letters', [{ value }]));
    const [row] = await rows('SELECT * EXCEPT stored_at FROM dead_letters_current');
    expect(row).toEqual({ ...letter, topic_partition: 0, topic_offset: 0 });
    expect(await rows('SELECT * EXCEPT last_stored_at FROM dead_letters_by_code')).toEqual([
      { topic: 'transactions', stage: 'decode', code: 'JSON_MALFORMED', letters: 1 },
    ]);
  });

  it('says which message a table refuses, and takes none of its chunk', async () => {
    await using sink = new ClickHouseSink({ clickHouse, table: 'dead_letters', registry: listedSchemas() });
    const good = JSON.stringify({ topic: 'a', partition: 1, offset: 1 });
    const bad = JSON.stringify({ topic: 'a', partition: 'one', offset: 2 });
    const before = await rows('SELECT count() AS rows FROM dead_letters');
    await expect(
      sink.write(batchOf('letters', [{ value: good }, { value: good }, { value: bad }], 40)),
    ).rejects.toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
      retryable: 'permanent',
      message: expect.stringContaining('at offset 42 of partition 0') as string,
    });
    await expect(sink.write(batchOf('letters', [{ value: '[1]' }]))).rejects.toMatchObject({
      code: 'SINK_MESSAGE_INVALID',
    });
    expect(await rows('SELECT count() AS rows FROM dead_letters')).toEqual(before);
    await using nowhere = new ClickHouseSink({ clickHouse, table: 'missing', registry: listedSchemas() });
    await expect(nowhere.write(batchOf('letters', [{ value: good }]))).rejects.toMatchObject({
      code: 'CLICKHOUSE_REFUSED',
    });
  });

  it('calls a server that does not answer away, not wrong', async () => {
    // Port 9 is the discard service's: nobody listens there.
    await using away = new ClusterClickHouse({ url: 'http://127.0.0.1:9' });
    await using sink = new ClickHouseSink({ clickHouse: away, table: 'predictions', registry: listedSchemas() });
    await expect(sink.write(batchOf('t', [{ value: '{}' }]))).rejects.toMatchObject({
      code: 'CLICKHOUSE_UNAVAILABLE',
      retryable: 'transient',
    });
  });

  it('applies each migration once, and refuses one whose text has changed', async () => {
    const client = await clickHouse.client();
    expect(await applyMigrations(client)).toEqual([]);
    const migrations = await readMigrations();
    expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
    const changed = migrations.map((migration, index) => (index === 1 ? { ...migration, digest: 'x' } : migration));
    await expect(applyMigrations(client, changed)).rejects.toMatchObject({
      code: 'MIGRATION_CHANGED',
      fields: { version: 2 },
    });
    const further = {
      version: migrations.length + 1,
      name: 'further',
      digest: 'd',
      statements: ['CREATE VIEW IF NOT EXISTS further AS SELECT 1'],
    };
    expect(await applyMigrations(client, [...migrations, further])).toEqual(['further']);
  });
});

describe('the rows of an insert', () => {
  it('are the messages with their place, whatever white space is around them', () => {
    const messages = messageBatchOf('t', [
      { value: '{"a":1}', offset: 7, timestampMs: 1_769_000_000_123 },
      { value: ' \n{ "a": "}" }\n ', partition: 3, offset: 2 ** 40, timestampMs: 1_769_000_000_123 },
      { value: '{ }', offset: 8, timestampMs: 1 },
    ]);
    expect(new InsertBody().of(messages).toString()).toBe(
      '{"a":1,"topic_partition":0,"topic_offset":7,"topic_timestamp":"2026-01-21T12:53:20.123Z"}\n' +
        '{ "a": "}" ,"topic_partition":3,"topic_offset":1099511627776,"topic_timestamp":"2026-01-21T12:53:20.123Z"}\n' +
        '{ "topic_partition":0,"topic_offset":8,"topic_timestamp":"1970-01-01T00:00:00.001Z"}\n',
    );
  });

  it('have the offsets as JavaScript writes them', () => {
    const offsets = [0, 9, 10, 99, 1_000, 4_294_967_295, 2 ** 40 + 7, Number.MAX_SAFE_INTEGER];
    const messages = messageBatchOf(
      't',
      offsets.map((offset) => ({ value: '{}', offset, timestampMs: 0 })),
    );
    const rows = new InsertBody().of(messages).toString().trim().split('\n');
    expect(rows).toEqual(
      offsets.map(
        (offset) => `{"topic_partition":0,"topic_offset":${offset},"topic_timestamp":"1970-01-01T00:00:00.000Z"}`,
      ),
    );
  });

  it('have a token that says what they cover', () => {
    const messages = batchOf('t', [{ value: '{}' }, { value: '{}', partition: 2 }, { value: '{}' }], 10);
    expect(chunkToken(messages)).toBe('t/0:10-12,2:10-11');
  });
});

describe('a topic that is followed into ClickHouse', { timeout: 120_000 }, () => {
  const count = 4_000;

  async function prepared(directory: string): Promise<void> {
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.createTopic('fraud_predictions', { partitionCount: 2 });
    await storage.append(messageBatchOf('fraud_predictions', predictionMessages(0, count)));
    await using clickHouse = await EmbeddedClickHouse.open({ directory, clock: systemClock });
    await applyMigrations(await clickHouse.client());
  }

  async function expectFollowed(directory: string): Promise<void> {
    await using clickHouse = await EmbeddedClickHouse.open({ directory, clock: systemClock });
    const query = `
      SELECT count() AS rows, uniqExact(transaction_id) AS transactions, uniqExact(topic_partition, topic_offset) AS positions,
             max(topic_offset) + 1 AS reach, sum(amount) AS amount
      FROM predictions FINAL`;
    const result = await (await clickHouse.client()).query({ query, format: 'JSONEachRow' });
    expect(await result.json()).toEqual([
      { rows: count, transactions: count, positions: count, reach: count / 2, amount: (count * (count - 1)) / 8 },
    ]);
  }

  async function untilNoLag(program: Program): Promise<void> {
    for (;;) if ((await program.expect('chunk')).endsWith(' 0')) return;
  }

  it('is there once, when the follower, and ClickHouse with it, are killed again and again', async () => {
    using directory = temporaryDirectory();
    await prepared(directory.path);
    let repeated = 0;
    for (let kill = 0; kill < 6; kill++) {
      await using program = Program.start(followingProgram, directory.path, '150');
      const clickHousePid = Number(await program.expect('clickhouse'));
      const first = await program.expect('chunk');
      if (first.startsWith('repeated')) repeated += 1;
      for (let chunks = 0; chunks < (kill * 3) % 5; chunks++) await program.expect('chunk');
      // Some in mid-insert, some between chunks; ClickHouse ends with its program, or is killed beside it.
      if (kill % 3 !== 2) await program.expect('writing');
      if (kill % 2 === 0) process.kill(clickHousePid, 'SIGKILL');
      await program.kill();
    }
    expect(repeated).toBeGreaterThan(0);
    await using program = Program.start(followingProgram, directory.path, '150');
    await untilNoLag(program);
    await program.kill();
    await expectFollowed(directory.path);
  });

  it('waits while ClickHouse is away, and is there once when it is back', async () => {
    using directory = temporaryDirectory();
    await prepared(directory.path);
    await using program = Program.start(followingProgram, directory.path, '50');
    const pid = Number(await program.expect('clickhouse'));
    await program.expect('chunk');
    // Stopped, then killed: an insert that is under way is neither answered nor refused until it fails.
    process.kill(pid, 'SIGSTOP');
    process.kill(pid, 'SIGKILL');
    await program.expect('retry CLICKHOUSE_UNAVAILABLE');
    await untilNoLag(program);
    await program.kill();
    await expectFollowed(directory.path);
  });
});
