import avro from 'avsc';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../error.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { toRows } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { parseAvroSchema, schemaOfAvro } from './avro-schema.ts';
import { messagesOf } from './messages-of.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { writeFrame } from './wire-format.ts';

/** A registry in memory that counts how often it is asked. */
class CountingRegistry implements SchemaRegistry {
  readonly name = 'memory';
  readonly asked: number[] = [];
  readonly schemas = new Map<number, string>();
  away = false;

  async schemaById(id: number): Promise<string | null> {
    this.asked.push(id);
    if (this.away) {
      throw new SluiceError('REGISTRY_UNAVAILABLE', 'could not read the registry: away; try again', {
        retryable: 'transient',
      });
    }
    return Promise.resolve(this.schemas.get(id) ?? null);
  }

  async register(): Promise<number> {
    return Promise.resolve(1);
  }
}

const record = (fields: readonly object[]): object => ({ type: 'record', name: 'Payment', fields });
const time = { name: 'time', type: { type: 'long', logicalType: 'timestamp-millis' } };
const card = { name: 'card', type: 'string' };

/** Version 1, and what a year of evolution made of it: a field dropped, one added, one renamed, one widened, one made optional. */
const v1 = record([
  time,
  card,
  { name: 'amount', type: 'float' },
  { name: 'terminal', type: 'int' },
  { name: 'shop', type: 'string' },
]);
const v2 = record([
  { name: 'terminal', type: 'long' },
  { name: 'channel', type: 'string', default: 'unknown' },
  { name: 'sum', type: ['null', 'double'], aliases: ['amount'], default: null },
  time,
  card,
]);

function message(id: number, schema: object, value: unknown): Uint8Array {
  const bytes = avro.Type.forSchema(schema as avro.Type).toBuffer(value);
  const framed = new Uint8Array(bytes.length + 5);
  framed.set(bytes, writeFrame(framed, 0, id));
  return framed;
}

function batchOf(...values: readonly Uint8Array[]): MessageBatch {
  return messagesOf('payments', values);
}

function decoderFor(reader: object, registry: SchemaRegistry, schema?: Schema): AvroDecoder {
  const readerSchema = parseAvroSchema(JSON.stringify(reader));
  return new AvroDecoder({
    schema: schema ?? schemaOfAvro(readerSchema),
    eventTimeField: 'time',
    keyFields: ['card'],
    readerSchema,
    registry,
  });
}

const old = { time: 5, card: 'c1', amount: 1.5, terminal: 7, shop: 'corner' };
const recent = { time: 6, card: 'c2', sum: 2.5, terminal: 2 ** 40, channel: 'web' };

describe('AvroDecoder', () => {
  it('reads what an older writer wrote: defaults, aliases, promotions, dropped fields', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(1, JSON.stringify(v1)).set(2, JSON.stringify(v2));
    const decoder = decoderFor(v2, registry);
    const messages = batchOf(message(1, v1, old), message(2, v2, recent), message(2, v2, { ...recent, sum: null }));
    await decoder.prepare(messages);
    const { records, deadLetters } = decoder.decode(messages);
    expect(deadLetters).toEqual([]);
    expect(toRows(records)).toEqual([
      { terminal: 7, channel: 'unknown', sum: 1.5, time: 5, card: 'c1' },
      { terminal: 2 ** 40, channel: 'web', sum: 2.5, time: 6, card: 'c2' },
      { terminal: 2 ** 40, channel: 'web', sum: null, time: 6, card: 'c2' },
    ]);
    expect([...records.eventTimesMs]).toEqual([5, 6, 6]);
  });

  it('reads what a newer writer wrote, where the newer schema allows it', async () => {
    const registry = new CountingRegistry();
    const newer = record([
      { name: 'extra', type: { type: 'array', items: 'string' } },
      card,
      time,
      { name: 'amount', type: 'float' },
      { name: 'terminal', type: 'int' },
      { name: 'shop', type: 'string' },
    ]);
    registry.schemas.set(9, JSON.stringify(newer));
    const decoder = decoderFor(v1, registry);
    const messages = batchOf(message(9, newer, { ...old, extra: ['a', 'b'] }));
    await decoder.prepare(messages);
    expect(toRows(decoder.decode(messages).records)).toEqual([old]);
  });

  it('reads the fields of a record in the record, through its own evolution', async () => {
    const registry = new CountingRegistry();
    const inner = (...names: readonly string[]): object => ({
      type: 'record',
      name: 'Features',
      fields: names.map((name) => ({ name, type: ['null', 'double'], default: null })),
    });
    const plain = record([{ name: 'features', type: inner('a', 'gone') }, time, card]);
    const nullable = record([time, { name: 'features', type: [inner('b', 'a'), 'null'] }, card]);
    const before = record([time, card]);
    registry.schemas.set(1, JSON.stringify(plain)).set(2, JSON.stringify(nullable)).set(3, JSON.stringify(before));
    const reader = record([time, card, { name: 'features', type: ['null', inner('a', 'b')], default: null }]);
    const decoder = decoderFor(reader, registry);
    const messages = batchOf(
      message(1, plain, { time: 1, card: 'c', features: { a: 1.5, gone: 9 } }),
      message(2, nullable, { time: 2, card: 'c', features: { a: 2.5, b: 3 } }),
      message(2, nullable, { time: 3, card: 'c', features: null }),
      message(3, before, { time: 4, card: 'c' }),
    );
    await decoder.prepare(messages);
    const { records, deadLetters } = decoder.decode(messages);
    expect(deadLetters).toEqual([]);
    expect(toRows(records)).toEqual([
      { time: 1, card: 'c', 'features.a': 1.5, 'features.b': null },
      { time: 2, card: 'c', 'features.a': 2.5, 'features.b': 3 },
      { time: 3, card: 'c', 'features.a': null, 'features.b': null },
      { time: 4, card: 'c', 'features.a': null, 'features.b': null },
    ]);
  });

  it('gives a record in the record its default where the writer has none', async () => {
    const registry = new CountingRegistry();
    const before = record([time, card]);
    registry.schemas.set(3, JSON.stringify(before));
    const place = {
      type: 'record',
      name: 'Place',
      fields: [
        { name: 'city', type: 'string' },
        { name: 'zone', type: 'int' },
      ],
    };
    const reader = record([
      time,
      card,
      { name: 'place', type: place, default: { city: 'somewhere far away', zone: 7 } },
    ]);
    const decoder = decoderFor(reader, registry);
    const messages = batchOf(message(3, before, { time: 4, card: 'c' }));
    await decoder.prepare(messages);
    expect(toRows(decoder.decode(messages).records)).toEqual([
      { time: 4, card: 'c', 'place.city': 'somewhere far away', 'place.zone': 7 },
    ]);
  });

  it('dead-letters records of a schema that does not resolve to the job’s, and says why', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(2, JSON.stringify(v2)).set(3, '{"type":"record"').set(4, '"string"');
    const decoder = decoderFor(v1, registry);
    const messages = batchOf(message(2, v2, recent), message(3, v2, recent), message(4, v2, recent));
    await decoder.prepare(messages);
    const { deadLetters } = decoder.decode(messages);
    expect(deadLetters.map(({ code, stage }) => [code, stage])).toEqual([
      ['SCHEMA_INCOMPATIBLE', 'decode'],
      ['SCHEMA_INCOMPATIBLE', 'decode'],
      ['SCHEMA_INCOMPATIBLE', 'decode'],
    ]);
    expect(deadLetters[0]?.message).toContain('got id 2: ');
  });

  it('dead-letters what is not framed, of an unknown schema, cut off, or too long', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(1, JSON.stringify(v1));
    const decoder = decoderFor(v1, registry);
    const good = message(1, v1, old);
    const messages = batchOf(
      good,
      new Uint8Array(0),
      Uint8Array.of(0, 0, 0, 0),
      new TextEncoder().encode('{"time":1}'),
      message(404, v1, old),
      good.slice(0, -1),
      Uint8Array.of(...good, 0),
      Uint8Array.of(0, 255, 255, 255, 255, 0),
    );
    await decoder.prepare(messages);
    const { deadLetters, records } = decoder.decode(messages);
    expect(records.rowCount).toBe(1);
    expect(deadLetters.map(({ offset, code }) => [offset, code])).toEqual([
      [1, 'SCHEMA_ID_MISSING'],
      [2, 'SCHEMA_ID_MISSING'],
      [3, 'SCHEMA_ID_MISSING'],
      [4, 'SCHEMA_UNKNOWN'],
      [5, 'AVRO_MALFORMED'],
      [6, 'AVRO_MALFORMED'],
      [7, 'SCHEMA_ID_MISSING'],
    ]);
    for (const letter of deadLetters) expect(letter.message).not.toMatch(/corner|c1/);
  });

  it('asks the registry once for each schema, and again for one that it did not have', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(1, JSON.stringify(v1));
    const decoder = decoderFor(v1, registry);
    const messages = batchOf(message(1, v1, old), message(5, v1, old), message(1, v1, old));
    await decoder.prepare(messages);
    expect(decoder.decode(messages).records.rowCount).toBe(2);
    expect(decoder.prepare(batchOf(message(1, v1, old)))).toBeNull();
    registry.schemas.set(5, JSON.stringify(v1));
    await decoder.prepare(messages);
    expect(decoder.decode(messages).records.rowCount).toBe(3);
    expect(decoder.prepare(messages)).toBeNull();
    expect(registry.asked.toSorted((a, b) => a - b)).toEqual([1, 5, 5]);
  });

  it('rejects with a transient error while the registry is away, and goes on when it is back', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(1, JSON.stringify(v1));
    registry.away = true;
    const decoder = decoderFor(v1, registry);
    const messages = batchOf(message(1, v1, old));
    await expect(decoder.prepare(messages)).rejects.toMatchObject({
      code: 'REGISTRY_UNAVAILABLE',
      retryable: 'transient',
    });
    registry.away = false;
    await decoder.prepare(messages);
    expect(decoder.decode(messages).records.rowCount).toBe(1);
  });

  it('reads a slab that lies anywhere in a larger buffer', async () => {
    const registry = new CountingRegistry();
    registry.schemas.set(1, JSON.stringify(v1));
    const decoder = decoderFor(v1, registry);
    const messages = batchOf(message(1, v1, old));
    const pool = Buffer.alloc(messages.values.data.length + 7, 0xff);
    pool.set(messages.values.data, 3);
    const data = pool.subarray(3, 3 + messages.values.data.length);
    const shifted = { ...messages, values: { ...messages.values, data } };
    await decoder.prepare(shifted);
    expect(toRows(decoder.decode(shifted).records)).toEqual([old]);
  });

  it('keeps every digit of a long in a string field, and refuses one that a double cannot hold elsewhere', async () => {
    const registry = new CountingRegistry();
    const wide = record([time, card, { name: 'id', type: 'long' }]);
    registry.schemas.set(1, JSON.stringify(wide));
    // 2^63 - 1, which avsc cannot write from a number.
    const bytes = message(1, record([time, card]), { time: 1, card: 'c' });
    const big = Uint8Array.of(...bytes, 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01);
    const field = (name: string, type: FieldType): Field => ({ name, type, presence: 'required' });
    const decodeAs = async (type: FieldType): Promise<unknown> => {
      const decoder = decoderFor(
        wide,
        registry,
        new Schema([field('time', 'timestamp'), field('card', 'string'), field('id', type)]),
      );
      await decoder.prepare(batchOf(big));
      const { records, deadLetters } = decoder.decode(batchOf(big));
      return deadLetters[0]?.code ?? toRows(records)[0]?.['id'];
    };
    expect(await decodeAs('string')).toBe('9223372036854775807');
    expect(await decodeAs('long')).toBe('LONG_UNSAFE');
    expect(await decodeAs('double')).toBe('LONG_UNSAFE');
  });

  it('bounds the depth of what it skips', async () => {
    const registry = new CountingRegistry();
    const list = { type: 'record', name: 'List', fields: [{ name: 'tail', type: ['null', 'List'] }] };
    const deep = record([time, card, { name: 'list', type: list }]);
    registry.schemas.set(1, JSON.stringify(deep));
    const decoder = decoderFor(record([time, card]), registry);
    const nested = (depth: number): Uint8Array =>
      Uint8Array.of(
        ...message(1, record([time, card]), { time: 1, card: 'c' }),
        ...new Array<number>(depth).fill(2),
        0,
      );
    const messages = batchOf(nested(20), nested(100_000));
    await decoder.prepare(messages);
    const { records, deadLetters } = decoder.decode(messages);
    expect([records.rowCount, deadLetters.map(({ code }) => code)]).toEqual([1, ['AVRO_TOO_DEEP']]);
  });

  it('does nothing for each of a claimed number of items that take no bytes', async () => {
    const registry = new CountingRegistry();
    const nulls = record([time, card, { name: 'nulls', type: { type: 'array', items: 'null' } }]);
    registry.schemas.set(1, JSON.stringify(nulls));
    const decoder = decoderFor(record([time, card]), registry);
    const count = [0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    const messages = batchOf(Uint8Array.of(...message(1, record([time, card]), { time: 1, card: 'c' }), ...count, 0));
    await decoder.prepare(messages);
    expect(decoder.decode(messages).records.rowCount).toBe(1);
  });

  it('refuses to be made for fields that the reader’s schema cannot give', () => {
    const registry = new CountingRegistry();
    const field = (name: string, type: FieldType): Field => ({ name, type, presence: 'optional' });
    const make =
      (...fields: Field[]) =>
      () =>
        decoderFor(v1, registry, new Schema([field('time', 'timestamp'), field('card', 'string'), ...fields]));
    expect(make(field('nobody', 'double'))).toThrow(expect.objectContaining({ code: 'AVRO_FIELD_UNKNOWN' }));
    expect(make(field('shop', 'double'))).toThrow(expect.objectContaining({ code: 'AVRO_FIELD_TYPE' }));
    expect(make(field('amount', 'long'))).toThrow(expect.objectContaining({ code: 'AVRO_FIELD_TYPE' }));
  });
});

describe('schemaOfAvro', () => {
  it('takes the fields that this engine has types for, and leaves the others', () => {
    const schema = schemaOfAvro(
      parseAvroSchema(
        JSON.stringify(
          record([
            time,
            { name: 'micros', type: ['null', { type: 'long', logicalType: 'timestamp-micros' }] },
            { name: 'count', type: 'int' },
            { name: 'ratio', type: ['float', 'null'] },
            { name: 'flag', type: 'boolean' },
            { name: 'colour', type: { type: 'enum', name: 'Colour', symbols: ['RED'] } },
            { name: 'bytes', type: 'bytes' },
            { name: 'many', type: ['null', 'string', 'double'] },
            { name: 'list', type: { type: 'array', items: 'string' } },
            {
              name: 'place',
              type: [
                'null',
                {
                  type: 'record',
                  name: 'Place',
                  fields: [
                    { name: 'city', type: 'string' },
                    { name: 'raw', type: 'bytes' },
                  ],
                },
              ],
            },
          ]),
        ),
      ),
    );
    expect(schema.fields.map(({ name, type, presence }) => `${name} ${type} ${presence}`)).toEqual([
      'time timestamp required',
      'micros timestamp optional',
      'count long required',
      'ratio double optional',
      'flag boolean required',
      'colour string required',
      'place.city string optional',
    ]);
  });

  it.each([
    '',
    '{',
    '"string"',
    '{"type":"record","name":"R","fields":[{"name":"a","type":"nothing"}]}',
    '{"type":"array","items":"int"}',
  ])('refuses %j as a schema of messages', (text) => {
    expect(() => parseAvroSchema(text)).toThrow(expect.objectContaining({ code: 'AVRO_SCHEMA_INVALID' }));
  });
});
