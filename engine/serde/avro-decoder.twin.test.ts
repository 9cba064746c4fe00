import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../record/message-batch.ts';
import { toRows } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { parseAvroSchema } from './avro-schema.ts';
import type { Decoded } from './decoder.ts';
import { messagesOf } from './messages-of.ts';
import { writeFrame } from './wire-format.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** `long` as bigint, so that the twin loses nothing. */
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

function objectType(schema: Json): avro.Type {
  return avro.Type.forSchema(schema as unknown as avro.Type, {
    typeHook: (part: unknown) =>
      part === 'long' || (part as { readonly type?: unknown }).type === 'long' ? bigLong : undefined,
  });
}

/** One field as the writer has it and as the reader does, what we may take it for, and values to write. */
interface Kind {
  readonly writer: Json;
  readonly reader: Json;
  readonly types: readonly FieldType[];
  readonly values: fc.Arbitrary<unknown>;
}

const int = fc.integer();
const long = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.maxSafeInteger().map(BigInt),
  fc.integer().map(BigInt),
);
/** Promoting a long to a double, avsc gets even the sign wrong beyond 2^52. */
const promotable = fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 }).map(BigInt);
const double = fc.oneof(
  { weight: 8, arbitrary: fc.double({ noNaN: true, noDefaultInfinity: true }) },
  fc.constantFrom(Number.NaN, Infinity, -0),
);
const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 8 }), fc.constantFrom('2026-11-22T09:30:00Z', 'é', ''));
const millis = { type: 'long', logicalType: 'timestamp-millis' };
const micros = { type: 'long', logicalType: 'timestamp-micros' };
const date = { type: 'int', logicalType: 'date' };
const uuid = { type: 'string', logicalType: 'uuid' };
const colour = { type: 'enum', name: 'Colour', symbols: ['RED', 'GREEN', 'ULTRAVIOLET'] };
const fewer = { type: 'enum', name: 'Colour', symbols: ['GREEN', 'OTHER'], default: 'OTHER' };

const plainKinds: readonly Kind[] = [
  { writer: 'int', reader: 'int', types: ['long', 'double', 'string', 'timestamp'], values: int },
  { writer: 'int', reader: 'long', types: ['long', 'double', 'string'], values: int },
  { writer: 'int', reader: 'double', types: ['double'], values: int },
  { writer: 'long', reader: 'long', types: ['long', 'double', 'string', 'timestamp'], values: long },
  { writer: 'long', reader: 'double', types: ['double'], values: promotable },
  { writer: 'long', reader: millis, types: ['timestamp', 'long'], values: long },
  { writer: millis, reader: millis, types: ['timestamp', 'long', 'string'], values: long },
  { writer: micros, reader: millis, types: ['timestamp'], values: long },
  { writer: micros, reader: micros, types: ['timestamp', 'long'], values: long },
  { writer: date, reader: date, types: ['long', 'string'], values: int },
  { writer: uuid, reader: 'string', types: ['string'], values: fc.uuid() },
  { writer: 'float', reader: 'double', types: ['double'], values: double.map(Math.fround) },
  { writer: 'double', reader: 'double', types: ['double'], values: double },
  { writer: 'boolean', reader: 'boolean', types: ['boolean'], values: fc.boolean() },
  { writer: 'string', reader: 'string', types: ['string', 'timestamp'], values: text },
  { writer: colour, reader: colour, types: ['string'], values: fc.constantFrom(...colour.symbols) },
  { writer: colour, reader: fewer, types: ['string'], values: fc.constantFrom(...colour.symbols) },
];

const kindArbitrary: fc.Arbitrary<Kind> = fc.tuple(fc.constantFrom(...plainKinds), fc.nat(3)).map(([kind, how]) => {
  const values = fc.option(kind.values, { freq: 4 });
  if (how === 1) return { ...kind, writer: ['null', kind.writer], reader: ['null', kind.reader], values };
  if (how === 2) return { ...kind, writer: [kind.writer, 'null'], reader: ['null', kind.reader], values };
  return how === 3 ? { ...kind, reader: [kind.reader, 'null'] } : kind;
});

/** Fields that the reader has not, of every type that there is. */
const strangerArbitrary: fc.Arbitrary<Omit<Kind, 'reader' | 'types'>> = fc.constantFrom(
  { writer: 'bytes', values: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes)) },
  { writer: { type: 'fixed', name: 'Id', size: 3 }, values: fc.constant(Buffer.from('abc')) },
  {
    writer: { type: 'array', items: ['null', 'string', { type: 'map', values: 'double' }] },
    values: fc.array(fc.oneof(fc.constant(null), text, fc.dictionary(text, double)), { maxLength: 4 }),
  },
  { writer: { type: 'array', items: 'null' }, values: fc.array(fc.constant(null), { maxLength: 4 }) },
  {
    writer: {
      type: 'record',
      name: 'List',
      fields: [
        { name: 'head', type: 'long' },
        { name: 'tail', type: ['null', 'List'] },
      ],
    },
    values: fc
      .array(long, { minLength: 1, maxLength: 5 })
      .map((heads) => heads.reduce<unknown>((tail, head) => ({ head, tail }), null)),
  },
  { writer: 'null', values: fc.constant(null) },
  { writer: ['boolean', 'null', 'float'], values: fc.oneof(fc.boolean(), fc.constant(null), double) },
);

/** What the reader expects and the writer has not. */
const absentArbitrary: fc.Arbitrary<{
  readonly reader: Json;
  readonly default: Json;
  readonly type: FieldType;
  readonly value: unknown;
}> = fc.constantFrom(
  { reader: 'long', default: 7, type: 'long', value: 7n },
  { reader: ['null', 'double'], default: null, type: 'double', value: null },
  { reader: ['double', 'null'], default: 1.5, type: 'double', value: 1.5 },
  {
    reader: 'string',
    default: 'a default that is longer than the message',
    type: 'string',
    value: 'a default that is longer than the message',
  },
  { reader: colour, default: 'ULTRAVIOLET', type: 'string', value: 'ULTRAVIOLET' },
  { reader: micros, default: 1_500_000, type: 'timestamp', value: 1_500_000n },
  { reader: 'boolean', default: true, type: 'boolean', value: true },
);

interface Case {
  readonly writer: Json;
  readonly reader: Json;
  readonly schema: Schema;
  readonly rows: readonly Record<string, unknown>[];
}

const caseArbitrary: fc.Arbitrary<Case> = fc
  .record({
    kinds: fc.array(fc.tuple(kindArbitrary, fc.nat(), fc.boolean()), { maxLength: 4 }),
    strangers: fc.array(strangerArbitrary, { maxLength: 2 }),
    absent: fc.option(absentArbitrary),
    shuffle: fc.nat(),
    enums: fc.boolean(),
  })
  .chain(({ kinds, strangers, absent, shuffle }) => {
    // A named type may be declared once in a schema, so later fields of the same enum, fixed or record are left out.
    const seen = new Set<string>();
    const once = (type: Json): boolean => {
      const name = JSON.stringify(type).match(/"name":"(Colour|Id|List)"/)?.[1];
      if (name === undefined) return true;
      return !seen.has(name) && seen.add(name) !== undefined;
    };
    const shared = kinds
      .filter(([kind]) => once(kind.writer))
      .map(([kind, pick, renamed], index) => ({ kind, pick, renamed, name: `f${index}` }));
    const strange = strangers.filter(({ writer }) => once(writer)).map((kind, index) => ({ kind, name: `s${index}` }));
    const added = absent !== null && once(absent.reader) ? absent : null;
    const writerFields = [
      { name: 'time', type: millis as Json },
      { name: 'card', type: 'string' as Json },
      ...shared.map(({ kind, renamed, name }) => ({ name: renamed ? `old_${name}` : name, type: kind.writer })),
      ...strange.map(({ kind, name }) => ({ name, type: kind.writer })),
    ];
    const rotated = writerFields.map(
      (_, index) => writerFields[(index + shuffle) % writerFields.length] ?? { name: 'time', type: millis },
    );
    const readerFields: Json[] = [
      ...shared.map(({ kind, renamed, name }) => ({
        name,
        type: kind.reader,
        ...(renamed ? { aliases: [`old_${name}`] } : {}),
      })),
      ...(added === null ? [] : [{ name: 'added', type: added.reader, default: added.default }]),
      { name: 'card', type: 'string' },
      { name: 'time', type: millis },
    ];
    const schema = new Schema([
      ...shared.map(({ kind, pick, name }): Field => ({
        name,
        type: kind.types[pick % kind.types.length] ?? 'double',
        presence: pick % 2 === 0 ? 'required' : 'optional',
      })),
      ...(added === null ? [] : [{ name: 'added', type: added.type, presence: 'optional' } as const]),
      { name: 'time', type: 'timestamp', presence: 'required' },
      { name: 'card', type: 'string', presence: 'required' },
    ]);
    const row = fc.record({
      time: fc.integer({ min: 0, max: 2e12 }).map(BigInt),
      card: fc.constantFrom('c1', 'c2'),
      ...Object.fromEntries(shared.map(({ kind, renamed, name }) => [renamed ? `old_${name}` : name, kind.values])),
      ...Object.fromEntries(strange.map(({ kind, name }) => [name, kind.values])),
    });
    return fc.array(row as fc.Arbitrary<Record<string, unknown>>, { maxLength: 5 }).map((rows) => ({
      writer: { type: 'record', name: 'com.bank.Payment', fields: rotated },
      reader: { type: 'record', name: 'Payment', fields: readerFields },
      schema,
      rows,
    }));
  });

function framed(values: readonly Uint8Array[], schemaId: number): MessageBatch {
  return messagesOf(
    't',
    values.map((value) => {
      const message = new Uint8Array(value.length + 5);
      message.set(value, writeFrame(message, 0, schemaId));
      return message;
    }),
  );
}

async function decode({ writer, reader, schema }: Case, values: readonly Uint8Array[]): Promise<Decoded> {
  const decoder = new AvroDecoder({
    schema,
    eventTimeField: 'time',
    keyFields: [],
    readerSchema: parseAvroSchema(JSON.stringify(reader)),
    registry: {
      name: 'test',
      schemaById: async () => Promise.resolve(JSON.stringify(writer)),
      register: async () => Promise.resolve(1),
    },
  });
  const messages = framed(values, 77);
  await decoder.prepare(messages);
  return decoder.decode(messages);
}

/** The naive twin: avsc's objects, then our conversions, one at a time. Gives a row, or the code of its dead letter. */
function naive(testCase: Case, bytes: Buffer): Record<string, unknown> | string {
  const writer = objectType(testCase.writer);
  const reader = objectType(testCase.reader);
  const object = reader.fromBuffer(bytes, reader.createResolver(writer, { ignoreNamespaces: true })) as Record<
    string,
    unknown
  >;
  const row: Record<string, unknown> = {};
  for (const field of testCase.schema.fields) {
    const value = object[field.name] ?? null;
    if (value === null && field.presence === 'required') return 'FIELD_MISSING';
    const converted = value === null ? null : convert(field.type, value, isMicros(testCase, field.name));
    if (typeof converted === 'object' && converted !== null) return converted.code;
    row[field.name] = converted;
  }
  return row;
}

/** Whether the writer says so, or, where it says nothing, the reader. */
function isMicros({ writer, reader }: Case, name: string): boolean {
  const typeIn = (schema: Json, candidates: readonly string[]): string => {
    const { fields } = schema as { fields: readonly { name: string; type: Json }[] };
    return JSON.stringify(fields.find((field) => candidates.includes(field.name))?.type ?? null);
  };
  const written = typeIn(writer, [name, `old_${name}`]);
  return (written.includes('timestamp') ? written : typeIn(reader, [name])).includes('timestamp-micros');
}

function convert(type: FieldType, value: unknown, micro: boolean): number | string | boolean | { code: string } {
  const whole =
    typeof value === 'bigint' ? value : typeof value === 'number' && Number.isInteger(value) ? BigInt(value) : null;
  switch (type) {
    case 'double':
      if (typeof value === 'bigint' && !Number.isSafeInteger(Number(value))) return { code: 'LONG_UNSAFE' };
      return Number.isFinite(Number(value)) ? Number(value) : { code: 'NUMBER_NOT_FINITE' };
    case 'long':
      return Number.isSafeInteger(Number(whole)) ? Number(whole) : { code: 'LONG_UNSAFE' };
    case 'boolean':
      return Boolean(value);
    case 'string':
      return String(value);
    case 'timestamp': {
      if (typeof value === 'string') return value.startsWith('2026') ? Date.parse(value) : { code: 'FIELD_TYPE' };
      const raw = whole ?? 0n;
      const instantMs = micro ? (raw - (((raw % 1000n) + 1000n) % 1000n)) / 1000n : raw;
      const safe = Number.isSafeInteger(Number(raw)) && Math.abs(Number(instantMs)) <= 8.64e15;
      return safe ? Number(instantMs) : { code: 'FIELD_TYPE' };
    }
  }
}

describe('AvroDecoder and its twin on avsc objects', () => {
  it('agree on rows and dead letters for any writer that resolves to any reader', async () => {
    await fc.assert(
      fc.asyncProperty(caseArbitrary, async (testCase) => {
        const type = objectType(testCase.writer);
        const values = testCase.rows.map((row) => type.toBuffer(row));
        const decoded = await decode(testCase, values);
        const expected = values.map((value) => naive(testCase, value));
        expect(decoded.deadLetters.map(({ code, offset }) => [offset, code])).toEqual(
          expected.flatMap((outcome, index) => (typeof outcome === 'string' ? [[index, outcome]] : [])),
        );
        expect(toRows(decoded.records)).toEqual(expected.filter((outcome) => typeof outcome !== 'string'));
      }),
      { numRuns: 400 },
    );
  });

  it('never fails on damaged bytes, and accounts for each of them', async () => {
    await fc.assert(
      fc.asyncProperty(caseArbitrary, fc.nat(), fc.nat(255), fc.nat(40), async (testCase, where, byte, length) => {
        const type = objectType(testCase.writer);
        const values = testCase.rows.map((row) => {
          const bytes = Uint8Array.from(type.toBuffer(row)).slice(0, length);
          bytes[where % (bytes.length + 1)] = byte;
          return bytes;
        });
        const decoded = await decode(testCase, values);
        expect(decoded.records.rowCount + decoded.deadLetters.length).toBe(values.length);
      }),
      { numRuns: 400 },
    );
  });
});
