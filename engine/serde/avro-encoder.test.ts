import avro from 'avsc';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumn, numberColumnOf, utf8ColumnOf, type Column } from '../record/column.ts';
import { messageKey, messageValue, type MessageBatch } from '../record/message-batch.ts';
import { recordBatch, toRows, type RecordBatch } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import { AvroDecoder } from './avro-decoder.ts';
import { AvroEncoder } from './avro-encoder.ts';
import { parseAvroSchema } from './avro-schema.ts';
import type { OutputField } from './encoder.ts';
import { keyPartitioner } from './partitioner.ts';
import { framedSchemaId } from './wire-format.ts';

const field = (name: string, type: FieldType): Field => ({ name, type, presence: 'optional' });
const schema = new Schema([
  field('double', 'double'),
  field('long', 'long'),
  field('boolean', 'boolean'),
  field('instant', 'timestamp'),
  field('string', 'string'),
  field('time', 'timestamp'),
]);
const millis = { type: 'long', logicalType: 'timestamp-millis' };
const micros = { type: 'long', logicalType: 'timestamp-micros' };

/** Every type, with null on either side, in another order than the columns. */
const avsc = {
  type: 'record',
  name: 'Prediction',
  namespace: 'sluice',
  fields: [
    { name: 'string', type: ['string', 'null'] },
    { name: 'time', type: millis },
    { name: 'instant', type: ['null', micros] },
    { name: 'boolean', type: ['null', 'boolean'] },
    { name: 'model', type: 'string' },
    { name: 'later', type: ['null', 'string'], default: null },
    { name: 'long', type: ['null', 'long'] },
    { name: 'double', type: ['null', 'double'] },
    { name: 'offset', type: 'long' },
  ],
};

const columnField = (column: string, name = column): OutputField => ({ name, value: { kind: 'column', column } });
const fields: OutputField[] = [
  ...schema.fields.map(({ name }) => columnField(name)),
  { name: 'model', value: { kind: 'constant', value: 'fraud' } },
  { name: 'offset', value: { kind: 'position', of: 'offset' } },
];

function encoderFor(
  outputs: readonly OutputField[] = fields,
  avroFields: readonly object[] = avsc.fields,
): AvroEncoder {
  return new AvroEncoder({
    schema,
    fields: outputs,
    topic: 'predictions',
    key: ['string'],
    partitioner: keyPartitioner(3),
    avroSchema: parseAvroSchema(JSON.stringify({ ...avsc, fields: avroFields })),
    schemaId: 300,
  });
}

const batchArbitrary: fc.Arbitrary<RecordBatch> = fc.integer({ min: 0, max: 6 }).chain((rowCount) => {
  const rows = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
    fc.array(fc.option(value, { freq: 4 }), { minLength: rowCount, maxLength: rowCount });
  return fc
    .record({
      double: rows(fc.double({ noNaN: true, noDefaultInfinity: true })),
      long: rows(fc.integer({ min: -(2 ** 51), max: 2 ** 51 })),
      boolean: rows(fc.constantFrom(0, 1)),
      instant: rows(fc.integer({ min: -2e12, max: 2e12 })),
      string: rows(fc.string({ unit: 'binary', maxLength: 100 })),
      eventTimes: fc.array(fc.integer({ min: 0, max: 2e12 }), { minLength: rowCount, maxLength: rowCount }),
    })
    .map(({ double, long, boolean, instant, string, eventTimes }) =>
      recordBatch(
        schema,
        [
          numberColumnOf(double),
          numberColumnOf(long),
          numberColumnOf(boolean),
          numberColumnOf(instant),
          utf8ColumnOf(string),
          numberColumnOf(eventTimes),
        ],
        { partition: 1, offset: 40, eventTimesMs: Float64Array.from(eventTimes) },
      ),
    );
});

function valuesOf(messages: MessageBatch): Uint8Array[] {
  return Array.from({ length: messages.messageCount }, (_, index) => messageValue(messages, index));
}

describe('AvroEncoder', () => {
  it('writes what avsc writes from objects, behind the frame', () => {
    const type = avro.Type.forSchema(avsc as unknown as avro.Type);
    fc.assert(
      fc.property(batchArbitrary, (batch) => {
        const { messages, failures } = encoderFor().encode(batch);
        expect(failures).toEqual([]);
        const expected = toRows(batch).map((row, index) =>
          type.toBuffer({
            ...row,
            instant: typeof row['instant'] === 'number' ? row['instant'] * 1000 : null,
            model: 'fraud',
            offset: 40 + index,
          }),
        );
        const values = valuesOf(messages);
        expect(values.map((value) => Buffer.from(value.subarray(5)))).toEqual(expected);
        expect(values.every((value) => framedSchemaId(value, 0, value.length) === 300)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it('gives the decoder back every bit it was given', async () => {
    await fc.assert(
      fc.asyncProperty(batchArbitrary, async (batch) => {
        const text = JSON.stringify(avsc);
        const decoder = new AvroDecoder({
          schema,
          eventTimeField: 'time',
          keyFields: [],
          readerSchema: parseAvroSchema(text),
          registry: {
            name: 'test',
            schemaById: async () => Promise.resolve(text),
            register: async () => Promise.resolve(300),
          },
        });
        const { messages } = encoderFor().encode(batch);
        await decoder.prepare(messages);
        const { records, deadLetters } = decoder.decode(messages);
        expect(deadLetters).toEqual([]);
        expect(toRows(records)).toEqual(toRows(batch));
      }),
      { numRuns: 200 },
    );
  });

  const only = (
    column: Column,
    type: FieldType,
    avroType: unknown,
  ): { bytes: number[][]; failures: readonly unknown[] } => {
    const one = new Schema([field('x', type)]);
    const encoder = new AvroEncoder({
      schema: one,
      fields: [columnField('x')],
      topic: 't',
      key: [],
      partitioner: keyPartitioner(1),
      avroSchema: parseAvroSchema(
        JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'x', type: avroType }] }),
      ),
      schemaId: 1,
    });
    const rowCount = column.kind === 'number' ? column.values.length : column.offsets.length - 1;
    const batch = recordBatch(one, [column], { partition: 0, offset: 0, eventTimesMs: new Float64Array(rowCount) });
    const { messages, failures } = encoder.encode(batch);
    return {
      bytes: valuesOf(messages).map((value) => [...value.subarray(5)]),
      failures: failures.map(({ row, code }) => [row, code]),
    };
  };

  it.each(['alone', 'in a union'])('writes fields with a dot in their names to a record in the record, %s', (how) => {
    const inner = {
      type: 'record',
      name: 'Features',
      fields: [
        { name: 'long', type: ['null', 'long'] },
        { name: 'kind', type: 'string' },
        { name: 'later', type: 'int', default: 5 },
        { name: 'double', type: ['double', 'null'] },
      ],
    };
    const nested = [
      { name: 'string', type: ['null', 'string'] },
      { name: 'features', type: how === 'alone' ? inner : ['null', inner] },
    ];
    const encoder = encoderFor(
      [
        columnField('string'),
        columnField('double', 'features.double'),
        { name: 'features.kind', value: { kind: 'constant', value: 'k' } },
        columnField('long', 'features.long'),
      ],
      nested,
    );
    const type = avro.Type.forSchema({ ...avsc, fields: nested } as unknown as avro.Type);
    fc.assert(
      fc.property(batchArbitrary, (batch) => {
        const expected = toRows(batch).map(({ string, double, long }) =>
          type.toBuffer({ string, features: { double, long, kind: 'k', later: 5 } }),
        );
        expect(valuesOf(encoder.encode(batch).messages).map((value) => Buffer.from(value.subarray(5)))).toEqual(
          expected,
        );
      }),
      { numRuns: 100 },
    );
    const unknown = (): AvroEncoder =>
      encoderFor([columnField('string'), columnField('double', 'features.nobody')], nested);
    expect(unknown).toThrow(expect.objectContaining({ code: 'AVRO_FIELD_MISSING' }));
    expect(() => encoderFor([columnField('string'), columnField('double', 'string.x')], nested.slice(0, 1))).toThrow(
      expect.objectContaining({ code: 'AVRO_FIELD_UNKNOWN' }),
    );
  });

  it('writes whole numbers as int, long or double, as the schema has it', () => {
    expect(only(numberColumnOf([1, -1]), 'long', 'int').bytes).toEqual([[2], [1]]);
    expect(only(numberColumnOf([1]), 'long', 'double').bytes).toEqual([[0, 0, 0, 0, 0, 0, 240, 63]]);
  });

  it('writes instants as text where the schema has a string', () => {
    const [bytes = []] = only(numberColumnOf([1769000000000]), 'timestamp', 'string').bytes;
    expect(new TextDecoder().decode(Uint8Array.from(bytes.slice(1)))).toBe('2026-01-21T12:53:20.000Z');
    expect(bytes[0]).toBe(48);
  });

  it('gives a failure, and no message, for rows that the schema cannot hold', () => {
    expect(only(numberColumnOf([1, null, 3]), 'double', 'double').failures).toEqual([[1, 'FIELD_MISSING']]);
    expect(only(numberColumn(Float64Array.of(Infinity, 1)), 'double', 'double').failures).toEqual([
      [0, 'NUMBER_NOT_FINITE'],
    ]);
    expect(only(numberColumnOf([2 ** 31, 2 ** 31 - 1, -(2 ** 31), -(2 ** 31) - 1]), 'long', 'int').failures).toEqual([
      [0, 'NUMBER_RANGE'],
      [3, 'NUMBER_RANGE'],
    ]);
    expect(only(numberColumnOf([0.5, 2 ** 53]), 'long', 'long').failures).toEqual([
      [0, 'NUMBER_RANGE'],
      [1, 'NUMBER_RANGE'],
    ]);
    expect(only(numberColumnOf([8.64e15]), 'timestamp', micros).failures).toEqual([[0, 'NUMBER_RANGE']]);
  });

  it('writes the key as every encoder does', () => {
    const batch = recordBatch(
      schema,
      [
        numberColumnOf([1]),
        numberColumnOf([1]),
        numberColumnOf([1]),
        numberColumnOf([1]),
        utf8ColumnOf(['c,1']),
        numberColumnOf([1]),
      ],
      { partition: 1, offset: 40, eventTimesMs: Float64Array.of(1) },
    );
    expect(new TextDecoder().decode(messageKey(encoderFor().encode(batch).messages, 0))).toBe('c,1');
  });

  it('refuses outputs that the schema has not or cannot hold, and fields that nothing gives', () => {
    const code = (make: () => unknown): unknown => {
      try {
        return make();
      } catch (thrown) {
        return (thrown as { code: string }).code;
      }
    };
    expect(code(() => encoderFor([...fields, columnField('double', 'nobody')]))).toBe('AVRO_FIELD_UNKNOWN');
    expect(
      code(() =>
        encoderFor(fields.slice(1), [
          { name: 'double', type: 'double' },
          ...avsc.fields.slice(0, 7),
          avsc.fields[8] ?? {},
        ]),
      ),
    ).toBe('AVRO_FIELD_MISSING');
    expect(code(() => encoderFor([columnField('double')], [{ name: 'double', type: 'float' }]))).toBe(
      'AVRO_FIELD_TYPE',
    );
    expect(
      code(() => encoderFor([{ name: 'm', value: { kind: 'constant', value: 'x' } }], [{ name: 'm', type: 'int' }])),
    ).toBe('AVRO_FIELD_TYPE');
  });
});
