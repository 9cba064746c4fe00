import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { numberColumn, numberColumnOf, utf8ColumnOf, type Column } from '../record/column.ts';
import { messageKey, messageValue, type MessageBatch } from '../record/message-batch.ts';
import { DEGRADED, LATE, recordBatch, toRows, type RecordBatch } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import type { EncoderOptions, OutputField } from './encoder.ts';
import { JsonDecoder } from './json-decoder.ts';
import { JsonEncoder } from './json-encoder.ts';
import { inputPartitioner, keyPartitioner } from './partitioner.ts';

const text = new TextDecoder();

function valuesOf(messages: MessageBatch): string[] {
  return Array.from({ length: messages.messageCount }, (_, index) => text.decode(messageValue(messages, index)));
}

function keysOf(messages: MessageBatch): string[] {
  return Array.from({ length: messages.messageCount }, (_, index) => text.decode(messageKey(messages, index)));
}

const columnField = (column: string, name = column): OutputField => ({ name, value: { kind: 'column', column } });

function encoderFor(schema: Schema, options: Partial<EncoderOptions> & { instants?: 'iso' | 'ms' } = {}): JsonEncoder {
  return new JsonEncoder({
    schema,
    fields: schema.fields.map((field) => columnField(field.name)),
    topic: 'out',
    key: [],
    partitioner: inputPartitioner(),
    ...options,
  });
}

const field = (name: string, type: FieldType): Field => ({ name, type, presence: 'optional' });

/** A batch of a few columns of each type, nulls and all. */
const batchArbitrary: fc.Arbitrary<RecordBatch> = fc.integer({ min: 0, max: 6 }).chain((rowCount) => {
  const rows = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
    fc.array(fc.option(value, { freq: 4 }), { minLength: rowCount, maxLength: rowCount });
  return fc
    .record({
      double: rows(fc.double({ noNaN: true, noDefaultInfinity: true })),
      long: rows(fc.maxSafeInteger()),
      boolean: rows(fc.constantFrom(0, 1)),
      instant: rows(fc.integer({ min: -6.2e13, max: 2.5e14 })),
      string: rows(fc.string({ unit: 'binary', maxLength: 20 })),
      eventTimes: fc.array(fc.integer({ min: 0, max: 2e12 }), { minLength: rowCount, maxLength: rowCount }),
    })
    .map(({ double, long, boolean, instant, string, eventTimes }) => {
      const columns: Column[] = [
        numberColumnOf(double),
        numberColumnOf(long),
        numberColumnOf(boolean),
        numberColumnOf(instant),
        utf8ColumnOf(string),
        numberColumnOf(eventTimes),
      ];
      return recordBatch(batchSchema, columns, {
        partition: 3,
        offset: 10,
        eventTimesMs: Float64Array.from(eventTimes),
      });
    });
});
const batchSchema = new Schema([
  field('double', 'double'),
  field('long "quoted"', 'long'),
  field('boolean', 'boolean'),
  field('instant', 'timestamp'),
  field('String\u2028é', 'string'),
  field('time', 'timestamp'),
]);

/** The naive twin: the rows as objects, through JSON.stringify. */
function naive(batch: RecordBatch, instants: 'iso' | 'ms'): string[] {
  return toRows(batch).map((row) =>
    JSON.stringify(
      Object.fromEntries(
        batch.schema.fields.map(({ name, type }) => {
          const value = row[name] ?? null;
          return [
            name,
            type === 'timestamp' && instants === 'iso' && typeof value === 'number'
              ? new Date(value).toISOString()
              : value,
          ];
        }),
      ),
    ),
  );
}

describe('JsonEncoder', () => {
  it('writes what JSON.stringify writes, but for the sign of -0', () => {
    fc.assert(
      fc.property(batchArbitrary, fc.constantFrom<'iso' | 'ms'>('iso', 'ms'), (batch, instants) => {
        const values = valuesOf(encoderFor(batchSchema, { instants }).encode(batch).messages);
        expect(values.map((value) => value.replace('"double":-0,', '"double":0,'))).toEqual(naive(batch, instants));
      }),
      { numRuns: 1000 },
    );
  });

  it('gives the decoder back every bit it was given', () => {
    fc.assert(
      fc.property(batchArbitrary, fc.constantFrom<'iso' | 'ms'>('iso', 'ms'), (batch, instants) => {
        const { messages } = encoderFor(batchSchema, { instants }).encode(batch);
        const decoded = new JsonDecoder({ schema: batchSchema, eventTimeField: 'time', keyFields: [] }).decode(
          messages,
        );
        expect(decoded.deadLetters).toEqual([]);
        expect(toRows(decoded.records)).toEqual(toRows(batch));
      }),
      { numRuns: 500 },
    );
  });

  const schema = new Schema([
    field('card', 'string'),
    field('amount', 'double'),
    field('n', 'long'),
    field('flagged', 'boolean'),
  ]);
  const batch: RecordBatch = {
    ...recordBatch(
      schema,
      [
        utf8ColumnOf(['c,1', null, 'c3']),
        numberColumnOf([899, -0, null]),
        numberColumnOf([1, 2, null]),
        numberColumnOf([1, 0, null]),
      ],
      {
        partition: Int32Array.of(5, 6, 7),
        offset: Float64Array.of(100, 2 ** 40, 102),
        eventTimesMs: Float64Array.of(0, 1, 1769000000000),
      },
    ),
    flags: Uint8Array.of(0, LATE, DEGRADED | LATE),
  };

  it('writes constants, positions, flags and the event time in the order of the fields', () => {
    const fields: OutputField[] = [
      { name: 'model', value: { kind: 'constant', value: 'fraud "1"' } },
      { name: 'threshold', value: { kind: 'constant', value: 0.5 } },
      columnField('amount', 'sum'),
      { name: 'shadow', value: { kind: 'constant', value: false } },
      { name: 'partition', value: { kind: 'position', of: 'partition' } },
      { name: 'offset', value: { kind: 'position', of: 'offset' } },
      { name: 'at', value: { kind: 'event-time' } },
      { name: 'late', value: { kind: 'flag', flag: 'late' } },
      { name: 'degraded', value: { kind: 'flag', flag: 'degraded' } },
      { name: 'version', value: { kind: 'constant', value: 3 } },
    ];
    expect(valuesOf(encoderFor(schema, { fields }).encode(batch).messages)).toEqual([
      '{"model":"fraud \\"1\\"","threshold":0.5,"sum":899,"shadow":false,"partition":5,"offset":100,"at":"1970-01-01T00:00:00.000Z","late":false,"degraded":false,"version":3}',
      '{"model":"fraud \\"1\\"","threshold":0.5,"sum":-0,"shadow":false,"partition":6,"offset":1099511627776,"at":"1970-01-01T00:00:00.001Z","late":true,"degraded":false,"version":3}',
      '{"model":"fraud \\"1\\"","threshold":0.5,"sum":null,"shadow":false,"partition":7,"offset":102,"at":"2026-01-21T12:53:20.000Z","late":true,"degraded":true,"version":3}',
    ]);
  });

  it('writes fields whose names have a dot as members of an object', () => {
    const fields: OutputField[] = [
      columnField('card'),
      columnField('amount', 'features.amount'),
      { name: 'features.kind', value: { kind: 'constant', value: 'k' } },
      columnField('n', 'counts.n'),
      columnField('n', 'features.n'),
      columnField('flagged'),
    ];
    expect(valuesOf(encoderFor(schema, { fields }).encode(batch).messages)).toEqual([
      '{"card":"c,1","features":{"amount":899,"kind":"k","n":1},"counts":{"n":1},"flagged":true}',
      '{"card":null,"features":{"amount":-0,"kind":"k","n":2},"counts":{"n":2},"flagged":false}',
      '{"card":"c3","features":{"amount":null,"kind":"k","n":null},"counts":{"n":null},"flagged":null}',
    ]);
    expect(valuesOf(encoderFor(schema, { fields: fields.slice(1, 3) }).encode(batch).messages)[0]).toBe(
      '{"features":{"amount":899,"kind":"k"}}',
    );
  });

  it('writes texts that are JSON already as they are', () => {
    const textSchema = new Schema([field('reasons', 'string')]);
    const texts = recordBatch(textSchema, [utf8ColumnOf(['["a","ü"]', '[]', null])], {
      partition: 0,
      offset: 0,
      eventTimesMs: Float64Array.of(1, 2, 3),
    });
    const fields: OutputField[] = [{ name: 'reasons', value: { kind: 'json', column: 'reasons' } }];
    expect(valuesOf(encoderFor(textSchema, { fields }).encode(texts).messages)).toEqual([
      '{"reasons":["a","ü"]}',
      '{"reasons":[]}',
      '{"reasons":null}',
    ]);
  });

  it('writes objects without fields, and of constants alone', () => {
    expect(valuesOf(encoderFor(schema, { fields: [] }).encode(batch).messages)).toEqual(['{}', '{}', '{}']);
    const fields: OutputField[] = [{ name: 'a', value: { kind: 'constant', value: true } }];
    expect(valuesOf(encoderFor(schema, { fields }).encode(batch).messages)).toEqual([
      '{"a":true}',
      '{"a":true}',
      '{"a":true}',
    ]);
  });

  it.each([
    [['card'], ['c,1', '', 'c3']],
    [['n'], ['1', '2', '']],
    [['flagged'], ['true', 'false', '']],
    [
      ['card', 'n', 'flagged'],
      ['["c,1",1,true]', '[null,2,false]', '["c3",null,null]'],
    ],
    [[], ['', '', '']],
  ])('writes the key of %j', (key, expected) => {
    expect(keysOf(encoderFor(schema, { key }).encode(batch).messages)).toEqual(expected);
  });

  it('hands the partitioner the key and the input partition, and stamps messages with the event time', () => {
    const { messages } = encoderFor(schema, { key: ['card'], partitioner: keyPartitioner(4) }).encode(batch);
    const keys = utf8ColumnOf(['c,1', '', 'c3']);
    expect([...messages.partitions]).toEqual(
      [0, 1, 2].map((index) => keyPartitioner(4)(keys, index, [5, 6, 7][index] ?? 0)),
    );
    expect([...messages.timestampsMs]).toEqual([0, 1, 1769000000000]);
    expect([...messages.offsets]).toEqual([0, 0, 0]);
    expect(messages.topic).toBe('out');
  });

  it('gives no message, but a failure, for a row with a number that is not finite', () => {
    const amounts = {
      ...batch,
      columns: [batch.columns[0], numberColumn(Float64Array.of(1, Number.NaN, 3)), ...batch.columns.slice(2)],
    } as RecordBatch;
    const { messages, failures } = encoderFor(schema, { key: ['card'] }).encode(amounts);
    expect(failures).toEqual([
      {
        row: 1,
        code: 'NUMBER_NOT_FINITE',
        message: 'output field "amount" must be a finite number; got NaN or an infinity',
      },
    ]);
    expect(keysOf(messages)).toEqual(['c,1', 'c3']);
    expect(valuesOf(messages).map((value) => (JSON.parse(value) as { amount: number }).amount)).toEqual([1, 3]);
    expect([...messages.timestampsMs]).toEqual([0, 1769000000000]);
    expect([...messages.partitions]).toEqual([5, 7]);
  });

  it('writes null for a null row whatever its value stands at', () => {
    const column = numberColumn(Float64Array.of(Number.NaN), Uint8Array.of(0));
    const only = new Schema([field('x', 'double')]);
    const batchOfNull = recordBatch(only, [column], { partition: 0, offset: 0, eventTimesMs: new Float64Array(1) });
    expect(valuesOf(encoderFor(only).encode(batchOfNull).messages)).toEqual(['{"x":null}']);
  });

  it('writes text from a slab that lies anywhere in a larger buffer', () => {
    const only = new Schema([field('x', 'string')]);
    const column = utf8ColumnOf(['abcdefgh', 'ij"kl']);
    const pool = new Uint8Array(column.data.length + 9).fill(0x22);
    pool.set(column.data, 5);
    const shifted = { ...column, data: pool.subarray(5, 5 + column.data.length) };
    const batchOfText = recordBatch(only, [shifted], { partition: 0, offset: 0, eventTimesMs: new Float64Array(2) });
    const { messages } = encoderFor(only, { key: ['x', 'x'] }).encode(batchOfText);
    expect(valuesOf(messages)).toEqual(['{"x":"abcdefgh"}', '{"x":"ij\\"kl"}']);
    expect(keysOf(messages)).toEqual(['["abcdefgh","abcdefgh"]', '["ij\\"kl","ij\\"kl"]']);
  });

  it('hands out messages that share no memory with later ones, however large they grow', () => {
    const only = new Schema([field('x', 'string')]);
    const encoder = encoderFor(only);
    const batchOf = (...strings: string[]): RecordBatch =>
      recordBatch(only, [utf8ColumnOf(strings)], {
        partition: 0,
        offset: 0,
        eventTimesMs: new Float64Array(strings.length),
      });
    const first = encoder.encode(batchOf('first')).messages;
    const long = '\u0001'.repeat(200_000);
    const second = encoder.encode(batchOf(long, long)).messages;
    expect(valuesOf(first)).toEqual(['{"x":"first"}']);
    expect(valuesOf(second)).toEqual([JSON.stringify({ x: long }), JSON.stringify({ x: long })]);
    expect(first.values.data.length).toBe(13);
  });

  it('refuses columns that are not there, names that come twice and constants that are not finite', () => {
    const make =
      (...fields: OutputField[]) =>
      () =>
        encoderFor(schema, { fields });
    expect(make(columnField('nobody'))).toThrow(expect.objectContaining({ code: 'OUTPUT_COLUMN_UNKNOWN' }));
    expect(make(columnField('card'), columnField('n', 'card'))).toThrow(
      expect.objectContaining({ code: 'OUTPUT_FIELD_DUPLICATE' }),
    );
    expect(make({ name: 'x', value: { kind: 'constant', value: Number.NaN } })).toThrow(
      expect.objectContaining({ code: 'OUTPUT_CONSTANT_INVALID' }),
    );
    expect(() => encoderFor(schema, { key: ['nobody'] })).toThrow(
      expect.objectContaining({ code: 'OUTPUT_COLUMN_UNKNOWN' }),
    );
  });
});
