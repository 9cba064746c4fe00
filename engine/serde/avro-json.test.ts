import avro from 'avsc';
import { describe, expect, it } from 'vitest';
import { messageValue } from '../record/message-batch.ts';
import { AvroJson } from './avro-json.ts';
import { messagesOf } from './messages-of.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { writeFrame } from './wire-format.ts';

const schema = {
  type: 'record',
  name: 'Everything',
  fields: [
    { name: 'long', type: 'long' },
    { name: 'double', type: 'double' },
    { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
    { name: 'micros', type: ['null', { type: 'long', logicalType: 'timestamp-micros' }] },
    { name: 'day', type: { type: 'int', logicalType: 'date' } },
    { name: 'price', type: { type: 'bytes', logicalType: 'decimal', precision: 10, scale: 2 } },
    { name: 'raw', type: 'bytes' },
    { name: 'tags', type: { type: 'array', items: 'string' } },
    { name: 'counts', type: { type: 'map', values: 'int' } },
    { name: 'either', type: ['int', 'double', 'string'] },
    { name: 'place', type: { type: 'record', name: 'Place', fields: [{ name: 'city', type: ['null', 'string'] }] } },
  ],
};

/** `long` of any size, which avsc itself writes only as numbers. */
const bigLong = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => buffer.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(value);
    return buffer;
  },
  fromJSON: (value: number) => BigInt(value),
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

const writer = avro.Type.forSchema(schema as avro.Schema, {
  typeHook: (part: unknown) =>
    part === 'long' || (part as { readonly type?: unknown }).type === 'long' ? bigLong : undefined,
});

const registry: SchemaRegistry = {
  name: 'the test’s',
  schemaById: async (id) => Promise.resolve(id === 7 ? JSON.stringify(schema) : null),
  register: async () => Promise.resolve(7),
};

function framed(id: number, record: Uint8Array): Uint8Array {
  const value = new Uint8Array(5 + record.length);
  value.set(record, writeFrame(value, 0, id));
  return value;
}

const record = writer.toBuffer({
  long: 2n ** 63n - 1n,
  double: -0,
  at: BigInt(Date.UTC(2026, 10, 22, 9, 30)),
  micros: BigInt(Date.UTC(2026, 10, 22, 9, 30)) * 1000n + 7n,
  day: 20_000,
  price: Buffer.of(0xff, 0x85),
  raw: Buffer.from('abc'),
  tags: ['a', '"'],
  counts: { x: 1 },
  either: { double: 2.5 },
  place: { city: null },
});

describe('Avro as JSON', () => {
  it('loses no digit of numbers, and has instants as text', async () => {
    expect(await new AvroJson(registry).textOf(framed(7, record))).toBe(
      '{"long":9223372036854775807,"double":-0,"at":"2026-11-22T09:30:00.000Z","micros":"2026-11-22T09:30:00.000007Z",' +
        '"day":"2024-10-04","price":-1.23,"raw":"YWJj","tags":["a","\\""],"counts":{"x":1},"either":{"double":2.5},"place":{"city":null}}',
    );
  });

  it('says why a value cannot be read', async () => {
    const json = new AvroJson(registry);
    expect(await json.textOf(framed(8, record))).toMatchObject({ code: 'SCHEMA_UNKNOWN' });
    expect(await json.textOf(record.subarray(1))).toMatchObject({ code: 'SCHEMA_ID_MISSING' });
    expect(await json.textOf(framed(7, record.subarray(0, 9)))).toMatchObject({ code: 'AVRO_MALFORMED' });
  });

  it('makes a batch of a batch, and names the message that it cannot read', async () => {
    const json = new AvroJson(registry);
    const batch = await json.inJson(messagesOf('t', [framed(7, record)]));
    expect(JSON.parse(Buffer.from(messageValue(batch, 0)).toString())).toMatchObject({ tags: ['a', '"'] });
    await expect(json.inJson(messagesOf('t', [framed(7, record), '{}']))).rejects.toMatchObject({
      code: 'AVRO_UNREADABLE',
      fields: { topic: 't', partition: 0, offset: 1 },
    });
  });
});
