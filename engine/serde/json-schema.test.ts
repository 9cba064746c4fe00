import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { toRows } from '../record/record-batch.ts';
import { JsonDecoder } from './json-decoder.ts';
import { readJsonSchema, type JsonRecords } from './json-schema.ts';
import { messagesOf } from './messages-of.ts';

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

const at = { type: 'string', format: 'date-time' };
const record = (properties: Json, more: Json = {}): Json => ({
  type: 'object',
  properties: { at, card: { type: 'string' }, ...(properties as object) },
  required: ['at', 'card'],
  ...(more as object),
});

function read(schema: Json): JsonRecords {
  const records = readJsonSchema(schema);
  if ('problems' in records) throw new RangeError(JSON.stringify(records.problems));
  return records;
}

interface Letter {
  readonly offset: number;
  readonly code: string;
  readonly message: string;
  readonly stage: string;
}

function decode(schema: Json, ...values: readonly string[]): { rows: readonly unknown[]; letters: readonly Letter[] } {
  const records = read(schema);
  const decoder = new JsonDecoder({ ...records, eventTimeField: 'at', keyFields: ['card'] });
  const messages = messagesOf('t', values);
  expect(decoder.prepare()).toBeNull();
  const { records: batch, deadLetters } = decoder.decode(messages);
  expect(batch.rowCount + deadLetters.length).toBe(values.length);
  return {
    rows: toRows(batch),
    letters: deadLetters.map(({ offset, code, message, stage }) => ({ offset, code, message, stage })),
  };
}

const message = (fields: object): string => JSON.stringify({ at: '2026-11-22T09:30:00Z', card: 'c', ...fields });

describe('a JSON Schema', () => {
  it('gives fields their types, and says which may be absent', () => {
    const { schema } = read(
      record(
        {
          amount: { type: 'number', minimum: 0 },
          count: { type: ['integer', 'null'] },
          fraud: { type: ['null', 'boolean'] },
          seen: { type: 'integer', format: 'timestamp-millis' },
          place: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
          tags: true,
          note: { description: 'anything' },
        },
        { required: ['at', 'card', 'amount', 'count', 'place'] },
      ),
    );
    expect(schema.fields.map(({ name, type, presence }) => `${name} ${type} ${presence}`)).toEqual([
      'at timestamp required',
      'card string required',
      'amount double required',
      'count long optional',
      'fraud boolean optional',
      'seen timestamp optional',
      'place.city string required',
    ]);
  });

  it.each<[Json, string, string]>([
    [[], '', 'no object'],
    [{ properties: {} }, 'type', 'records are objects'],
    [{ type: 'object' }, '', 'which fields there are'],
    [record({}, { oneOf: [] }), 'oneOf', 'not enforced here'],
    [record({}, { additionalProperties: { type: 'string' } }), 'additionalProperties', 'all accepted or all refused'],
    [record({}, { required: ['nobody'] }), 'required', '"nobody" is required and is no property'],
    [record({ a: { type: 'array' } }), 'properties.a.type', 'one type'],
    [record({ a: { type: ['string', 'number'] } }), 'properties.a.type', 'one type'],
    [record({ a: { enum: ['x'] } }), 'properties.a.type', 'one type'],
    [record({ a: { $ref: '#/$defs/a' } }), 'properties.a.type', 'one type'],
    [record({ a: false }), 'properties.a', 'has no schema'],
    [record({ 'a-b': { type: 'string' } }), 'properties.a-b', 'cannot be read by an expression'],
    [record({ a: { type: 'number', multipleOf: 2 } }), 'properties.a.multipleOf', 'not enforced here'],
    [record({ a: { type: 'string', minimum: 2 } }), 'properties.a.minimum', 'not enforced here'],
    [record({ a: { type: 'string', format: 'email' } }), 'properties.a.format', 'not enforced here'],
    [record({ a: { ...at, maxLength: 20 } }), 'properties.a.maxLength', 'not enforced here'],
    [record({ a: { type: 'string', pattern: '(?=x)' } }), 'properties.a.pattern', 'cannot be used'],
    [record({ a: { type: 'number', minimum: '0' } }), 'properties.a.minimum', 'no number'],
    [record({ a: { type: 'integer', enum: [1, 1.5] } }), 'properties.a.enum', 'values of type integer'],
    [record({ a: { type: 'object', properties: {} } }), 'properties.a', 'may be missing or null'],
    [record({ a: true }, { required: ['a'] }), 'properties.a', 'no type to be read by'],
  ])('%j is refused at "%s": %s', (schema, path, words) => {
    const records = readJsonSchema(schema);
    const problems = 'problems' in records ? records.problems : [];
    expect(problems.map((problem) => problem.path.join('.'))).toContain(path);
    expect(problems.find((problem) => problem.path.join('.') === path)?.message).toContain(words);
  });
});

describe('records that break a JSON Schema', () => {
  it.each<[Json, unknown, string]>([
    [{ type: 'number', minimum: 0 }, -1, 'minimum'],
    [{ type: 'number', maximum: 10 }, 10.5, 'maximum'],
    [{ type: 'integer', exclusiveMinimum: 3 }, 3, 'exclusiveMinimum'],
    [{ type: 'integer', exclusiveMaximum: 3 }, 3, 'exclusiveMaximum'],
    [{ type: 'string', minLength: 3 }, 'éé', 'minLength'],
    [{ type: 'string', maxLength: 2 }, 'éééé', 'maxLength'],
    [{ type: 'string', pattern: '^[a-z]+$' }, '4111111111111111', 'pattern'],
    [{ type: 'string', enum: ['EUR', 'USD'] }, '4111111111111111', 'enum'],
    [{ type: 'number', enum: [1, 2] }, 3, 'enum'],
    [{ type: 'boolean', const: true }, false, 'enum'],
    [{ type: 'string', format: 'uuid' }, '4111111111111111', 'uuid'],
  ])('%j refuses %j by its rule "%s", and never tells the value', (property, value, rule) => {
    const schema = record({ x: property });
    const { rows, letters } = decode(schema, message({}), message({ x: value }), message({}));
    expect(rows).toHaveLength(2);
    expect(letters).toEqual([
      {
        offset: 1,
        code: 'FIELD_RULE_BROKEN',
        stage: 'decode',
        message: expect.stringMatching(new RegExp(`^field "x" must be .*\\(${rule} in the schema\\)`)) as string,
      },
    ]);
    expect(letters[0]?.message).not.toContain('4111');
  });

  it.each<[string, Json, string, string, string]>([
    ['a number in the place of text', { type: 'string' }, '{"x":5}', 'FIELD_TYPE', 'must be a string; got a number'],
    ['text in the place of a number', { type: 'number' }, '{"x":"5"}', 'FIELD_TYPE', 'got a string'],
    ['an instant as a number', at, '{"x":5}', 'FIELD_TYPE', 'as text; got a number'],
    ['text that is no instant', at, '{"x":"2026-11-22"}', 'FIELD_TYPE', 'text of another form'],
    [
      'an instant as text',
      { type: 'integer', format: 'timestamp-millis' },
      '{"x":"2026-11-22T09:30:00Z"}',
      'FIELD_TYPE',
      'whole milliseconds since the epoch; got a string',
    ],
    ['null where only absence is allowed', { type: 'number' }, '{"x":null}', 'FIELD_TYPE', 'got null'],
    ['a whole number beyond 2^53', { type: 'integer' }, '{"x":9007199254740993}', 'LONG_UNSAFE', 'below 2^53'],
  ])('are told %s', (_what, property, text, code, words) => {
    const fields = text.slice(1);
    const { letters } = decode(record({ x: property }), `{"at":"2026-11-22T09:30:00Z","card":"c",${fields}`);
    expect(letters).toMatchObject([{ code, message: expect.stringContaining(words) as string }]);
  });

  it('must have what is required, though it may be null', () => {
    const schema = record({ x: { type: ['number', 'null'] } }, { required: ['at', 'card', 'x'] });
    const { rows, letters } = decode(schema, message({ x: null }), message({}));
    expect(rows).toMatchObject([{ x: null }]);
    expect(letters).toMatchObject([{ offset: 1, code: 'FIELD_MISSING' }]);
  });

  it('may have no other fields where the schema says so, at either level', () => {
    const place = { type: 'object', properties: { city: { type: 'string' }, raw: true }, additionalProperties: false };
    const closed = record({ place, extra: true }, { additionalProperties: false, required: ['at', 'card', 'place'] });
    const { letters } = decode(
      closed,
      message({ place: { city: 'a', raw: [1] }, extra: {} }),
      message({ place: {}, pan: '4111' }),
      message({ place: { street: 'b' } }),
      message({ place: {} }).replace('"card"', '"c\\u0061rd"'),
    );
    expect(letters.map(({ offset, code }) => [offset, code])).toEqual([
      [1, 'FIELD_UNKNOWN'],
      [2, 'FIELD_UNKNOWN'],
    ]);
    expect(letters.some((letter) => letter.message.includes('pan'))).toBe(false);
  });

  it('are told apart by where they fail', () => {
    const schema = record({}, { properties: { at, card: { type: 'string', maxLength: 2 } } });
    const { letters } = decode(schema, message({ card: 'ccc' }), message({ at: 'x' }));
    expect(letters.map(({ stage, code }) => [stage, code])).toEqual([
      ['key', 'FIELD_RULE_BROKEN'],
      ['event-time', 'FIELD_TYPE'],
    ]);
  });
});

const values = fc.oneof(
  fc.constantFrom<Json>(null, true, false, '', 'a', 'ab', 'abc', 'é', 'EUR', '00000000-0000-4000-8000-000000000000'),
  fc.integer({ min: -5, max: 5 }),
  fc.double({ min: -5, max: 5, noNaN: true }),
);

const property: fc.Arbitrary<Readonly<Record<string, Json>>> = fc
  .record({
    type: fc.constantFrom('string', 'number', 'integer', 'boolean'),
    nullable: fc.boolean(),
    bound: fc.integer({ min: -3, max: 3 }),
    keyword: fc.nat(5),
  })
  .map(({ type, nullable, bound, keyword }) => {
    const numbers = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'][keyword];
    const texts = ['minLength', 'maxLength', 'pattern', 'format', 'enum'][keyword];
    const whole: Json = nullable ? [type, 'null'] : type;
    if (type === 'string' && texts !== undefined) {
      const value = { pattern: '^a', format: 'uuid', enum: ['a', 'EUR'] }[texts] ?? Math.abs(bound);
      return { type: whole, [texts]: value };
    }
    if ((type === 'number' || type === 'integer') && numbers !== undefined) return { type: whole, [numbers]: bound };
    return { type: whole };
  });

/** The naive twin: JSON Schema's rules on the value that `JSON.parse` gives. */
function isValid(schema: Readonly<Record<string, Json>>, value: Json): boolean {
  const types = Array.isArray(schema['type']) ? (schema['type'] as readonly Json[]) : [schema['type'] ?? null];
  const of = (type: Json): boolean => {
    if (type === 'null') return value === null;
    return type === 'integer' ? Number.isInteger(value) : typeof value === type;
  };
  if (!types.some(of)) return false;
  if (schema['enum'] !== undefined && !(schema['enum'] as readonly Json[]).includes(value)) return false;
  if (typeof value === 'number') {
    const { minimum = -Infinity, maximum = Infinity } = schema as { minimum?: number; maximum?: number };
    const { exclusiveMinimum = -Infinity, exclusiveMaximum = Infinity } = schema as Record<string, number>;
    return value >= minimum && value <= maximum && value > exclusiveMinimum && value < exclusiveMaximum;
  }
  if (typeof value !== 'string') return true;
  const { minLength = 0, maxLength = Infinity, pattern = '' } = schema as Record<string, never>;
  const length = Array.from(value).length;
  if (length < minLength || length > maxLength || !new RegExp(pattern, 'u').test(value)) return false;
  return schema['format'] !== 'uuid' || /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

describe('the decoder and a naive validator', () => {
  it('agree on which records are valid', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(property, fc.boolean()), { minLength: 1, maxLength: 3 }),
        fc.array(fc.array(fc.option(values, { nil: undefined }), { minLength: 3, maxLength: 3 }), { maxLength: 6 }),
        fc.boolean(),
        (properties, rows, isOpen) => {
          const named = properties.map(([schema, isRequired], index) => ({ name: `f${index}`, schema, isRequired }));
          const schema = record(Object.fromEntries(named.map((one) => [one.name, one.schema])), {
            required: ['at', 'card', ...named.filter((one) => one.isRequired).map(({ name }) => name)],
            additionalProperties: isOpen,
          });
          const objects = rows.map((row) => Object.fromEntries(row.map((value, index) => [`f${index}`, value])));
          const { letters } = decode(schema, ...objects.map((object) => message(object)));
          const expected = objects.flatMap((object, index) => {
            const isSound = named.every((one) => {
              const value = object[one.name];
              return value === undefined ? !one.isRequired : isValid(one.schema, value);
            });
            const names = Object.keys(object).filter((name) => object[name] !== undefined);
            const isKnown = isOpen || names.every((name) => named.some((one) => one.name === name));
            return isSound && isKnown ? [] : [index];
          });
          expect(letters.map(({ offset }) => offset)).toEqual(expected);
        },
      ),
      { numRuns: 500 },
    );
  });
});
