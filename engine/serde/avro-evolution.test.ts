import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toRows } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { parseAvroSchema, schemaOfAvro } from './avro-schema.ts';
import type { Decoded } from './decoder.ts';
import { messagesOf } from './messages-of.ts';
import { writeFrame } from './wire-format.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

/** A field as two versions of a schema have it (`null`: not at all), and values that each version writes. */
interface Change {
  readonly what: string;
  readonly old: Json;
  readonly new: Json;
  readonly oldValues: fc.Arbitrary<unknown>;
  readonly newValues: fc.Arbitrary<unknown>;
  /** Whether new readers read old records, and old readers new ones. */
  readonly backward: boolean;
  readonly forward: boolean;
}

const int = fc.integer();
/** avsc itself reads no `long` of 2^53 or more, and promotes those of 2^52 wrongly. */
const long = fc.integer({ min: -(2 ** 52) + 1, max: 2 ** 52 - 1 });
const double = fc.double({ noNaN: true, noDefaultInfinity: true });
const text = fc.string({ unit: 'grapheme', maxLength: 6 });
const nothing = fc.constant(undefined);
const decimal = (scale: number): Json => ({ type: 'bytes', logicalType: 'decimal', precision: 12, scale });
const decimals = fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes));
const millis = { type: 'long', logicalType: 'timestamp-millis' };
const instants = fc.integer({ min: -8.64e12, max: 8.64e12 });
const colour = (name: string, symbols: readonly string[], more: object): Json => {
  return { name, type: { type: 'enum', name: `${name}_symbols`, symbols, ...more } };
};

const changes: readonly Change[] = [
  {
    what: 'added with a default',
    old: null,
    new: { name: 'a', type: 'string', default: 'none' },
    oldValues: nothing,
    newValues: text,
    backward: true,
    forward: true,
  },
  {
    what: 'added without one',
    old: null,
    new: { name: 'b', type: 'long' },
    oldValues: nothing,
    newValues: long,
    backward: false,
    forward: true,
  },
  {
    what: 'removed, having had a default',
    old: { name: 'c', type: ['null', 'double'], default: null },
    new: null,
    oldValues: fc.option(double),
    newValues: nothing,
    backward: true,
    forward: true,
  },
  {
    what: 'removed, having had none',
    old: { name: 'd', type: 'double' },
    new: null,
    oldValues: double,
    newValues: nothing,
    backward: true,
    forward: false,
  },
  {
    what: 'promoted from int to long',
    old: { name: 'e', type: 'int' },
    new: { name: 'e', type: 'long' },
    oldValues: int,
    newValues: long,
    backward: true,
    forward: false,
  },
  {
    what: 'promoted from int to double',
    old: { name: 'f', type: 'int' },
    new: { name: 'f', type: 'double' },
    oldValues: int,
    newValues: double,
    backward: true,
    forward: false,
  },
  {
    what: 'promoted from long to double',
    old: { name: 'g', type: 'long' },
    new: { name: 'g', type: 'double' },
    oldValues: long,
    newValues: double,
    backward: true,
    forward: false,
  },
  {
    what: 'promoted from float to double',
    old: { name: 'h', type: 'float' },
    new: { name: 'h', type: 'double' },
    oldValues: double.map(Math.fround).filter(Number.isFinite),
    newValues: double,
    backward: true,
    forward: false,
  },
  {
    what: 'renamed, the old name an alias',
    old: { name: 'i_old', type: 'string' },
    new: { name: 'i', type: 'string', aliases: ['i_old'] },
    oldValues: text,
    newValues: text,
    backward: true,
    forward: false,
  },
  {
    what: 'renamed, the old one having a default',
    old: { name: 'j_old', type: 'long', default: 7 },
    new: { name: 'j', type: 'long', aliases: ['j_old'] },
    oldValues: long,
    newValues: long,
    backward: true,
    forward: true,
  },
  {
    what: 'made nullable',
    old: { name: 'k', type: 'double' },
    new: { name: 'k', type: ['null', 'double'] },
    oldValues: double,
    newValues: fc.option(double),
    backward: true,
    forward: false,
  },
  {
    what: 'of a union that was widened',
    old: { name: 'l', type: ['null', 'int'] },
    new: { name: 'l', type: ['null', 'double'] },
    oldValues: fc.option(int),
    newValues: fc.option(double),
    backward: true,
    forward: false,
  },
  {
    what: 'of an enum that got a symbol, and has a default',
    old: colour('m', ['RED', 'OTHER'], { default: 'OTHER' }),
    new: colour('m', ['RED', 'OTHER', 'BLUE'], { default: 'OTHER' }),
    oldValues: fc.constantFrom('RED', 'OTHER'),
    newValues: fc.constantFrom('RED', 'OTHER', 'BLUE'),
    backward: true,
    forward: true,
  },
  {
    what: 'of an enum that got a symbol, and has no default',
    old: colour('n', ['RED'], {}),
    new: colour('n', ['RED', 'BLUE'], {}),
    oldValues: fc.constant('RED'),
    newValues: fc.constantFrom('RED', 'BLUE'),
    backward: true,
    forward: false,
  },
  {
    what: 'said to be an instant',
    old: { name: 'o', type: 'long' },
    new: { name: 'o', type: millis },
    oldValues: instants,
    newValues: instants,
    backward: true,
    forward: true,
  },
  {
    what: 'said to be a date',
    old: { name: 'p', type: 'int' },
    new: { name: 'p', type: { type: 'int', logicalType: 'date' } },
    oldValues: fc.integer({ min: -100_000, max: 100_000 }),
    newValues: fc.integer({ min: -100_000, max: 100_000 }),
    backward: true,
    forward: true,
  },
  {
    what: 'said to be a UUID',
    old: { name: 'q', type: 'string' },
    new: { name: 'q', type: { type: 'string', logicalType: 'uuid' } },
    oldValues: text,
    newValues: fc.uuid(),
    backward: true,
    forward: true,
  },
  {
    what: 'left as it was, a decimal',
    old: { name: 'r', type: decimal(2) },
    new: { name: 'r', type: decimal(2) },
    oldValues: decimals,
    newValues: decimals,
    backward: true,
    forward: true,
  },
  {
    what: 'a decimal of another scale',
    old: { name: 's', type: decimal(2) },
    new: { name: 's', type: decimal(3) },
    oldValues: decimals,
    newValues: decimals,
    backward: false,
    forward: false,
  },
  {
    what: 'changed from text to a number',
    old: { name: 't', type: 'string' },
    new: { name: 't', type: 'long' },
    oldValues: text,
    newValues: long,
    backward: false,
    forward: false,
  },
];

type Direction = 'backward' | 'forward';

/** The two schemas, and which of them wrote: new readers of old records (backward), or the other way round. */
function schemas(of: readonly Change[], direction: Direction): { readonly writer: Json; readonly reader: Json } {
  const version = (fields: readonly Json[]): Json => ({
    type: 'record',
    name: 'Payment',
    fields: [
      ...fields.filter((field) => field !== null),
      { name: 'at', type: millis },
      { name: 'card', type: 'string' },
    ],
  });
  const old = version(of.map((change) => change.old));
  const next = version(of.map((change) => change.new));
  return direction === 'backward' ? { writer: old, reader: next } : { writer: next, reader: old };
}

async function decode(writer: Json, reader: Json, records: readonly Uint8Array[]): Promise<Decoded> {
  const readerSchema = parseAvroSchema(JSON.stringify(reader));
  const decoder = new AvroDecoder({
    schema: schemaOfAvro(readerSchema),
    eventTimeField: 'at',
    keyFields: ['card'],
    readerSchema,
    registry: {
      name: 'test',
      schemaById: async () => Promise.resolve(JSON.stringify(writer)),
      register: async () => Promise.resolve(1),
    },
  });
  const values = records.map((record) => {
    const value = new Uint8Array(record.length + 5);
    value.set(record, writeFrame(value, 0, 9));
    return value;
  });
  const messages = messagesOf('t', values);
  await decoder.prepare(messages);
  return decoder.decode(messages);
}

/** avsc alone: no logical types, so that every value is what was written. */
const plainType = (schema: Json): avro.Type => avro.Type.forSchema(schema as unknown as avro.Schema);

/** What avsc reads, as our types have it: a date as its first millisecond, a decimal as its nearest double. */
function expectedRow(object: Readonly<Record<string, unknown>>, schema: Schema): Record<string, unknown> {
  return Object.fromEntries(
    schema.fields.map(({ name, type }) => {
      const value = object[name];
      if (value instanceof Uint8Array) return [name, Number(unscaledOf(value)) / 100];
      return [name, name === 'p' && type === 'timestamp' ? Number(value) * 86_400_000 : value];
    }),
  );
}

function unscaledOf(bytes: Uint8Array): bigint {
  const hex = Buffer.from(bytes).toString('hex');
  return hex === '' ? 0n : BigInt.asIntN(bytes.length * 8, BigInt(`0x${hex}`));
}

interface Case {
  readonly of: readonly Change[];
  readonly direction: Direction;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

const nameOf = (field: Json): string => (field as { readonly name?: string } | null)?.name ?? '';

function rowsOf(
  of: readonly Change[],
  direction: Direction,
): fc.Arbitrary<readonly Readonly<Record<string, unknown>>[]> {
  const written = of.flatMap((change) => {
    const field = direction === 'backward' ? change.old : change.new;
    const values = direction === 'backward' ? change.oldValues : change.newValues;
    return field === null ? [] : [[nameOf(field), values] as const];
  });
  const row = fc.record({ ...Object.fromEntries(written), at: instants, card: fc.constantFrom('c1', 'c2') });
  return fc.array(row, { minLength: 1, maxLength: 4 });
}

const cases = (candidates: readonly Change[], direction: Direction): fc.Arbitrary<Case> =>
  fc
    .shuffledSubarray([...candidates], { maxLength: 6 })
    .chain((of) => rowsOf(of, direction).map((rows) => ({ of, direction, rows })));

describe('a schema that changes', () => {
  for (const direction of ['backward', 'forward'] as const) {
    const who = direction === 'backward' ? 'a new reader' : 'an old reader';
    const good = changes.filter((change) => change[direction]);

    it(`is read by ${who} as avsc resolves it, whatever compatible changes come together`, async () => {
      await fc.assert(
        fc.asyncProperty(cases(good, direction), async ({ of, rows }) => {
          const { writer, reader } = schemas(of, direction);
          const writerType = plainType(writer);
          const readerType = plainType(reader);
          const resolver = readerType.createResolver(writerType);
          const records = rows.map((row) => writerType.toBuffer(row));
          const decoded = await decode(writer, reader, records);
          expect(decoded.deadLetters).toEqual([]);
          const schema = schemaOfAvro(parseAvroSchema(JSON.stringify(reader)));
          expect(toRows(decoded.records)).toEqual(
            records.map((bytes) =>
              expectedRow(readerType.fromBuffer(bytes, resolver) as Readonly<Record<string, unknown>>, schema),
            ),
          );
        }),
        { numRuns: 300 },
      );
    });

    it.each(changes.filter((change) => !change[direction]).map((change) => [change.what, change] as const))(
      `is refused to ${who} in a dead letter that says so, with a field %s`,
      async (_what, change) => {
        await fc.assert(
          fc.asyncProperty(rowsOf([change], direction), async (rows) => {
            const { writer, reader } = schemas([change], direction);
            const records = rows.map((row) => plainType(writer).toBuffer(row));
            const decoded = await decode(writer, reader, records);
            expect(decoded.records.rowCount).toBe(0);
            expect(decoded.deadLetters.map(({ code }) => code)).toEqual(records.map(() => 'SCHEMA_INCOMPATIBLE'));
          }),
          { numRuns: 10 },
        );
      },
    );
  }

  it('never rounds in silence: a long beyond 2^53 and a decimal with too many digits are dead letters, and text keeps them whole', async () => {
    const schema = (type: Json): Json => ({
      type: 'record',
      name: 'Payment',
      fields: [
        { name: 'x', type },
        { name: 'at', type: millis },
        { name: 'card', type: 'string' },
      ],
    });
    const rest = plainType({
      type: 'record',
      name: 'Payment',
      fields: [
        { name: 'at', type: 'long' },
        { name: 'card', type: 'string' },
      ],
    }).toBuffer({ at: 1, card: 'c' });
    const big = Buffer.from([0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    const precise = Buffer.from([16, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    const codeOf = async (type: Json, value: Uint8Array): Promise<string | undefined> => {
      const { deadLetters } = await decode(schema(type), schema(type), [Buffer.concat([value, rest])]);
      return deadLetters[0]?.code;
    };
    expect(await codeOf('long', big)).toBe('LONG_UNSAFE');
    expect(await codeOf(decimal(2), precise)).toBe('DECIMAL_UNSAFE');
    expect(await codeOf(decimal(2), Buffer.from([4, 0x04, 0xd2]))).toBeUndefined();
  });
});
