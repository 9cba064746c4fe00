import avro from 'avsc';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EmbeddedClickHouse } from '../../clickhouse/embedded-clickhouse.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { AvroJson } from '../../serde/avro-json.ts';
import { listedSchemas } from '../../serde/testing/listed-schemas.ts';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts';
import { systemClock } from '../../time/clock.ts';
import { ClickHouseSink } from './clickhouse-sink.ts';
import { NativeBody } from './native-body.ts';

const optional = (type: unknown): unknown => ['null', type];
const instant = { type: 'long', logicalType: 'timestamp-millis' };

/** One field of each kind that a plan knows, some that the table has no column for, and null first as well as last. */
const recordSchema = {
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'id', type: 'string' },
    { name: 'left_out', type: { type: 'map', values: 'long' } },
    { name: 'text', type: optional('string') },
    { name: 'text_or_empty', type: optional('string') },
    { name: 'word', type: 'string' },
    { name: 'number', type: 'double' },
    { name: 'maybe', type: ['double', 'null'] },
    { name: 'whole_as_double', type: 'long' },
    { name: 'tiny', type: 'int' },
    { name: 'signed', type: optional('long') },
    { name: 'large', type: 'long' },
    { name: 'flag', type: 'boolean' },
    { name: 'flag_as_byte', type: 'boolean' },
    { name: 'at', type: instant },
    { name: 'fine', type: { type: 'long', logicalType: 'timestamp-micros' } },
    { name: 'finer', type: instant },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    {
      name: 'features',
      type: {
        type: 'record',
        name: 'Features',
        fields: [
          { name: 'ratio', type: optional('double') },
          { name: 'count', type: 'long' },
          { name: 'night', type: optional('boolean') },
        ],
      },
    },
    {
      name: 'listed',
      type: {
        type: 'record',
        name: 'Listed',
        fields: [
          { name: 'x', type: 'double' },
          { name: 'y', type: optional('double') },
        ],
      },
    },
    {
      name: 'flat',
      type: {
        type: 'record',
        name: 'Flat',
        fields: [
          { name: 'a', type: 'double' },
          { name: 'left_out', type: optional('string') },
          { name: 'b', type: optional('string') },
        ],
      },
    },
    { name: 'left_out_too', type: optional({ type: 'array', items: 'double' }) },
  ],
} as const;

const columns = `
  id String, text Nullable(String), text_or_empty String, word LowCardinality(String), number Float64, maybe Nullable(Float64),
  whole_as_double Float64, tiny UInt8, signed Nullable(Int32), large Int64, flag Bool, flag_as_byte UInt8,
  at DateTime64(3, 'UTC'), fine DateTime64(6, 'UTC'), finer Nullable(DateTime64(6, 'UTC')), tags Array(String),
  features Map(String, Nullable(Float64)), listed Map(LowCardinality(String), Nullable(Float64)), "flat.a" Float64, "flat.b" LowCardinality(Nullable(String)),
  no_field UInt16 DEFAULT 7, number_twice Float64 ALIAS number * 2,
  topic_partition UInt32, topic_offset UInt64, topic_timestamp DateTime64(3, 'UTC')`;

const text = fc.string({ unit: 'grapheme', maxLength: 200 });
const double = fc.double({ noNaN: true, noDefaultInfinity: true });
const whole = fc.integer({ min: -(2 ** 52), max: 2 ** 52 });
const millis = fc.integer({ min: 0, max: 4_000_000_000_000 });
const row = fc.record({
  left_out: fc.dictionary(fc.string(), fc.integer()),
  text: fc.option(text),
  text_or_empty: fc.option(text),
  word: fc.constantFrom('red', 'green', ''),
  number: double,
  maybe: fc.option(double),
  whole_as_double: whole,
  tiny: fc.integer({ min: 0, max: 255 }),
  signed: fc.option(fc.integer()),
  large: whole,
  flag: fc.boolean(),
  flag_as_byte: fc.boolean(),
  at: millis,
  fine: millis,
  finer: millis,
  tags: fc.array(text, { maxLength: 3 }),
  features: fc.record({ ratio: fc.option(double), count: fc.integer(), night: fc.option(fc.boolean()) }),
  listed: fc.record({ x: double, y: fc.option(double) }),
  flat: fc.record({ a: double, left_out: fc.option(text), b: fc.option(fc.constantFrom('x', 'y')) }),
  left_out_too: fc.option(fc.array(double)),
});

function framed(schemaId: number, record: Uint8Array): Uint8Array {
  return Uint8Array.of(0, 0, 0, 0, schemaId, ...record);
}

function batchOf(topic: string, values: readonly Uint8Array[], from = 0): MessageBatch {
  return messageBatchOf(
    topic,
    values.map((value, index) => ({
      value,
      partition: 2,
      offset: from + index,
      timestampMs: 1_769_000_000_123 + index,
    })),
  );
}

describe('messages in Avro as rows of ClickHouse', () => {
  const directory = temporaryDirectory();
  let clickHouse: EmbeddedClickHouse;

  beforeAll(async () => {
    clickHouse = await EmbeddedClickHouse.open({ directory: directory.path, clock: systemClock });
  });

  afterAll(async () => {
    await clickHouse[Symbol.asyncDispose]();
    directory[Symbol.dispose]();
  });

  async function rows(query: string): Promise<unknown[]> {
    return (await (await clickHouse.client()).query({ query, format: 'JSONEachRow' })).json();
  }

  async function createTable(name: string, definition = columns): Promise<void> {
    const query = `CREATE TABLE ${name} (${definition}) ENGINE = MergeTree ORDER BY topic_offset`;
    await (await clickHouse.client()).command({ query });
  }

  it('are the rows that the same messages in JSON make', async () => {
    await createTable('from_binary');
    await createTable('from_json');
    const type = avro.Type.forSchema(recordSchema as unknown as avro.Schema, { wrapUnions: false });
    const registry = listedSchemas(recordSchema);
    await using binary = new ClickHouseSink({ clickHouse, table: 'from_binary', registry });
    await using json = new ClickHouseSink({ clickHouse, table: 'from_json', registry });
    const client = await clickHouse.client();
    const samples = fc.sample(row, { numRuns: 2_000, seed: 7 });
    const values = samples.map((value, index) => framed(0, type.toBuffer({ id: `row ${index}`, ...value })));
    for (let from = 0; from < values.length; from += 500) {
      const messages = batchOf('t', values.slice(from, from + 500), from);
      expect(await new NativeBody('from_binary', registry).of(messages, client)).not.toBeNull();
      await binary.write(messages);
      await json.write(await new AvroJson(registry).inJson(messages));
    }
    expect(await rows('SELECT count() AS rows FROM from_binary')).toEqual([{ rows: 2_000 }]);
    // What JSON has in an object of its own does not reach the columns of its members.
    const all = 'SELECT * EXCEPT (`flat.a`, `flat.b`) FROM';
    expect(await rows(`${all} from_binary EXCEPT ${all} from_json`)).toEqual([]);
    expect(await rows(`${all} from_json EXCEPT ${all} from_binary`)).toEqual([]);
    expect(await rows('SELECT `flat.a` AS a, `flat.b` AS b FROM from_binary ORDER BY topic_offset')).toEqual(
      samples.map(({ flat: { a, b } }) => ({ a, b })),
    );
    const [first] = await rows(
      'SELECT no_field, number_twice = number * 2 AS twice, topic_timestamp FROM from_binary LIMIT 1',
    );
    expect(first).toEqual({ no_field: 7, twice: 1, topic_timestamp: '2026-01-21 12:53:20.123' });
  });

  const small = { type: 'record', name: 'Small', fields: [{ name: 'n', type: 'long' }] };
  const place = "topic_partition UInt32, topic_offset UInt64, topic_timestamp DateTime64(3, 'UTC')";
  const smallValue = (n: number, schemaId = 0): Uint8Array =>
    framed(schemaId, avro.Type.forSchema(small as avro.Schema).toBuffer({ n }));

  it('are columns, too, of a table in another database, of whose namesake here nothing is believed', async () => {
    const client = await clickHouse.client();
    await client.command({ query: 'CREATE DATABASE stats' });
    await createTable('stats.whole_numbers', `n Int64, ${place}`);
    await createTable('whole_numbers', 'n Decimal(18, 2), topic_offset UInt64');
    const registry = listedSchemas(small);
    const messages = batchOf('t', [smallValue(1), smallValue(2 ** 40)]);
    expect(await new NativeBody('stats.whole_numbers', registry).of(messages, client)).not.toBeNull();
    expect(await new NativeBody('whole_numbers', registry).of(messages, client)).toBeNull();
    expect(await new NativeBody('nowhere.whole_numbers', registry).of(messages, client)).toBeNull();
    await using sink = new ClickHouseSink({ clickHouse, table: 'stats.whole_numbers', registry });
    await sink.write(messages);
    expect(await rows('SELECT n FROM stats.whole_numbers ORDER BY n')).toEqual([{ n: 1 }, { n: 2 ** 40 }]);
    expect(await rows('SELECT count() AS rows FROM whole_numbers')).toEqual([{ rows: 0 }]);
  });

  it('go as JSON where types have no plan, schemas differ, or the table does not say where messages stood', async () => {
    await createTable('decimals', `n Decimal(18, 2), ${place}`);
    await createTable('without_place', 'n Int64, topic_offset UInt64');
    await createTable('whole', `n Int64, ${place}`);
    const registry = listedSchemas(small, { ...small, name: 'Other' });
    const client = await clickHouse.client();
    const mixed = batchOf('t', [smallValue(1), smallValue(2, 1)]);
    expect(await new NativeBody('whole', registry).of(mixed, client)).toBeNull();
    for (const table of ['decimals', 'without_place', 'whole']) {
      expect(await new NativeBody('decimals', registry).of(batchOf('t', [smallValue(1)]), client)).toBeNull();
      await using sink = new ClickHouseSink({ clickHouse, table, registry });
      await sink.write(mixed);
      expect(await rows(`SELECT toInt64(n) AS n FROM ${table} ORDER BY n`)).toEqual([{ n: 1 }, { n: 2 }]);
    }
  });

  it('and in JSON go into one table, where a topic changed from one to the other', async () => {
    await createTable('both', `n Int64, ${place}`);
    await using sink = new ClickHouseSink({ clickHouse, table: 'both', registry: listedSchemas(small) });
    const json = (n: number): Uint8Array => Buffer.from(JSON.stringify({ n }));
    const messages = batchOf('t', [json(1), json(2), smallValue(3), smallValue(4), json(5)]);
    await sink.write(messages);
    await sink.write(messages);
    expect(await rows('SELECT DISTINCT n, topic_offset FROM both ORDER BY n')).toEqual(
      [1, 2, 3, 4, 5].map((n) => ({ n, topic_offset: n - 1 })),
    );
  });

  it('fit a table that is altered while they are written', async () => {
    await createTable('altered', `n Int32, ${place}`);
    await using sink = new ClickHouseSink({ clickHouse, table: 'altered', registry: listedSchemas(small) });
    await sink.write(batchOf('t', [smallValue(1)], 0));
    await (await clickHouse.client()).command({ query: 'ALTER TABLE altered MODIFY COLUMN n Int64' });
    await sink.write(batchOf('t', [smallValue(2 ** 40)], 1));
    expect(await rows('SELECT n FROM altered ORDER BY n')).toEqual([{ n: 1 }, { n: 2 ** 40 }]);
  });

  it('name the message that is no such record, or does not fit its column, and take none of its chunk', async () => {
    await createTable('bytes', `n UInt8, ${place}`);
    const registry = listedSchemas(small);
    await using sink = new ClickHouseSink({ clickHouse, table: 'bytes', registry });
    const refused = (values: readonly Uint8Array[]): Promise<unknown> =>
      sink.write(batchOf('t', values, 40)).catch((error: unknown) => error);
    expect(await refused([smallValue(1), smallValue(256)])).toMatchObject({
      code: 'SINK_MESSAGE_INVALID',
      fields: { topic: 't', partition: 2, offset: 41, column: 'n' },
    });
    const good = smallValue(1);
    for (const cut of [good.subarray(0, 5), Uint8Array.of(...good, 0), framed(0, Uint8Array.of(0x80))]) {
      expect(await refused([good, cut])).toMatchObject({ code: 'SINK_MESSAGE_INVALID', fields: { offset: 41 } });
    }
    expect(await refused([smallValue(1, 9)])).toMatchObject({ code: 'AVRO_UNREADABLE' });
    expect(await rows('SELECT count() AS rows FROM bytes')).toEqual([{ rows: 0 }]);
  });
});
