import { describe, expect, it } from 'vitest';
import { toRows } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import type { Decoded } from './decoder.ts';
import { JsonDecoder } from './json-decoder.ts';
import { messagesOf } from './messages-of.ts';

const required = (name: string, type: FieldType): Field => ({ name, type, presence: 'required' });
const optional = (name: string, type: FieldType): Field => ({ name, type, presence: 'optional' });
const schema = new Schema([
  required('time', 'timestamp'),
  required('card', 'string'),
  required('amount', 'double'),
  optional('count', 'long'),
]);

function decode(...texts: readonly string[]): Decoded {
  return new JsonDecoder({ schema, eventTimeField: 'time', keyFields: ['card'] }).decode(
    messagesOf('transactions', texts),
  );
}

describe('JsonDecoder', () => {
  it('keeps every digit of a number in a string field, as it was written', () => {
    const { records } = decode(
      '{"time":1,"card":12345678901234567890,"amount":1}',
      '{"time":1,"card":-1.50e+3,"amount":1}',
    );
    expect(toRows(records).map((row) => row['card'])).toEqual(['12345678901234567890', '-1.50e+3']);
  });

  it('tells where a record failed, in words of shape and never of value', () => {
    const { deadLetters, records } = decode(
      '{"time":1,"card":"4111-1111","amount":"secret"}',
      '{"time":"4111-1111","card":"x","amount":1}',
      '{"time":1,"amount":1}',
      '{"time":1,"card":"4111-1111","amount":1',
      '{"time":1,"card":"x","amount":1,"count":41111111111111111}',
      '{"time":1,"card":"x","amount":NaN}',
      '',
    );
    expect(records.rowCount).toBe(0);
    expect(deadLetters.map(({ stage, code, message }) => `${stage} ${code}: ${message}`)).toEqual([
      'decode FIELD_TYPE: field "amount" must be a finite number; got a string',
      'event-time FIELD_TYPE: field "time" must be whole milliseconds since the epoch, or an ISO 8601 instant with Z or an offset; got text of another form',
      'key FIELD_MISSING: field "card" must be present; got a record without it',
      'decode JSON_MALFORMED: the value must be JSON in UTF-8; got an end after 39 bytes',
      'decode LONG_UNSAFE: field "count" must be a whole number below 2^53 in magnitude; got a larger one (declare the field as string to keep every digit)',
      'decode NUMBER_NOT_FINITE: field "amount" must be a finite number; got NaN or an infinity',
      'decode JSON_MALFORMED: the value must be JSON in UTF-8; got an empty value',
    ]);
    for (const { message } of deadLetters) expect(message).not.toMatch(/4111|secret/);
  });

  it('carries the original bytes, topic and position in the dead letter', () => {
    const { deadLetters } = decode('{"time":1,"card":"a","amount":1}', '{"amount":');
    expect(deadLetters).toEqual([
      expect.objectContaining({
        topic: 'transactions',
        partition: 0,
        offset: 1,
        value: new TextEncoder().encode('{"amount":'),
      }),
    ]);
  });

  it.each(['NaN', 'Infinity', '-Infinity'])(
    'refuses the token %s as a number that is not finite, even when the key comes again',
    (token) => {
      const { deadLetters } = decode(
        `{"time":1,"card":"a","amount":${token}}`,
        `{"time":1,"card":"a","amount":${token},"amount":1}`,
      );
      expect(deadLetters.map(({ code }) => code)).toEqual(['NUMBER_NOT_FINITE', 'NUMBER_NOT_FINITE']);
    },
  );

  it('refuses such a token as malformed where no declared field stands, or where more is wrong', () => {
    const { deadLetters } = decode(
      '{"time":1,"card":"a","amount":1,"x":NaN}',
      '{"time":1,"card":"a","amount":NaN',
      '{"time":1,"card":"a","amount":Nan}',
    );
    expect(deadLetters.map(({ code }) => code)).toEqual(['JSON_MALFORMED', 'JSON_MALFORMED', 'JSON_MALFORMED']);
  });

  it('bounds the depth of what it skips, and only that', () => {
    const nested = (depth: number): string =>
      `{"time":1,"card":"a","amount":1,"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    const { deadLetters, records } = decode(nested(64), nested(65), nested(100_000));
    expect(records.rowCount).toBe(1);
    expect(deadLetters.map(({ code }) => code)).toEqual(['JSON_TOO_DEEP', 'JSON_TOO_DEEP']);
  });

  it('learns a new order of keys and forgets nothing of the old one', () => {
    const { records, deadLetters } = decode(
      '{"card":"a","time":1,"amount":2,"x":0,"count":3}',
      '{"amount":2,"count":3,"y":[],"card":"a","time":1}',
      '{"card":"a","time":1,"amount":2,"x":0,"count":3}',
    );
    expect(deadLetters).toEqual([]);
    const row = { time: 1, card: 'a', amount: 2, count: 3 };
    expect(toRows(records)).toEqual([row, row, row]);
  });

  it('reads records with more keys than it guesses', () => {
    const many = Array.from({ length: 300 }, (_, index) => `"k${index}":${index}`).join(',');
    const { records } = decode(`{${many},"time":1,"card":"a","amount":2}`, `{${many},"time":1,"card":"a","amount":2}`);
    expect(records.rowCount).toBe(2);
  });

  it('reads fields with a dot in their names as members of an object, the last of them if it comes twice', () => {
    const nested = new Schema([
      required('time', 'timestamp'),
      optional('features.a', 'double'),
      optional('features.b', 'string'),
    ]);
    const messages = messagesOf('t', [
      '{"features":{"a":1.5,"x":[{}],"b":"y"},"time":1}',
      '{"time":1,"features":{"a":1},"features":{"b":"z"}}',
      '{"time":1,"features":null}',
      '{"time":1}',
      '{"time":1,"features":[1]}',
      '{"time":1,"features.a":1}',
      '{"time":1,"features":{"a":1}',
    ]);
    const decoder = new JsonDecoder({ schema: nested, eventTimeField: 'time', keyFields: [] });
    const { records, deadLetters } = decoder.decode(messages);
    expect(toRows(records).map((row) => [row['features.a'], row['features.b']])).toEqual([
      [1.5, 'y'],
      [null, 'z'],
      [null, null],
      [null, null],
      [null, null],
    ]);
    expect(deadLetters.map(({ offset, code }) => [offset, code])).toEqual([
      [4, 'FIELD_TYPE'],
      [6, 'JSON_MALFORMED'],
    ]);
  });

  it('refuses a schema in which a name is both a field and an object', () => {
    for (const names of [
      ['o', 'o.a'],
      ['o.a', 'o'],
    ]) {
      const clash = new Schema([required('time', 'timestamp'), ...names.map((name) => optional(name, 'double'))]);
      const make = (): JsonDecoder => new JsonDecoder({ schema: clash, eventTimeField: 'time', keyFields: [] });
      expect(make).toThrow(expect.objectContaining({ code: 'SCHEMA_FIELD_AMBIGUOUS' }));
    }
  });

  it('hands out batches that share no memory with later ones', () => {
    const decoder = new JsonDecoder({ schema, eventTimeField: 'time', keyFields: [] });
    const first = decoder.decode(messagesOf('t', ['{"time":1,"card":"first","amount":1}', 'bad'])).records;
    const before = toRows(first);
    decoder.decode(messagesOf('t', ['{"time":2,"card":"other","amount":2,"count":9}']));
    expect(toRows(first)).toEqual(before);
    expect(first.eventTimesMs.length).toBe(1);
  });

  it('reads a slab that lies anywhere in a larger buffer, as Node’s pooled buffers do', () => {
    const messages = messagesOf('t', ['{"time":1,"card":"abcdefgh","amount":1.5}']);
    const pool = Buffer.alloc(messages.values.data.length + 7, 0x22);
    pool.set(messages.values.data, 3);
    const data = pool.subarray(3, 3 + messages.values.data.length);
    const decoder = new JsonDecoder({ schema, eventTimeField: 'time', keyFields: [] });
    const { records } = decoder.decode({ ...messages, values: { ...messages.values, data } });
    expect(toRows(records)).toEqual([{ time: 1, card: 'abcdefgh', amount: 1.5, count: null }]);
  });

  it('decodes an empty batch to an empty batch', () => {
    const { records, deadLetters } = decode();
    expect([records.rowCount, records.columns.length, deadLetters.length]).toEqual([0, 4, 0]);
  });

  it('has no bits of refused records in null rows', () => {
    const { records } = decode(
      '{"time":1,"card":"a","amount":1,"count":7,"count":null}',
      '{"time":1,"card":"a","amount":1}',
    );
    const column = records.columns[3];
    expect(column).toEqual({ kind: 'number', values: new Float64Array([0, 0]), valid: new Uint8Array([0, 0]) });
  });

  it('refuses to be made for an event time or a key that the schema has not', () => {
    const make = (eventTimeField: string, keyFields: string[]) => () =>
      new JsonDecoder({ schema, eventTimeField, keyFields });
    expect(make('when', [])).toThrow(expect.objectContaining({ code: 'EVENT_TIME_FIELD_INVALID' }));
    expect(make('amount', [])).toThrow(expect.objectContaining({ code: 'EVENT_TIME_FIELD_INVALID' }));
    expect(make('time', ['nobody'])).toThrow(expect.objectContaining({ code: 'KEY_FIELD_UNKNOWN' }));
  });
});
