import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../record/message-batch.ts';
import { toRows } from '../record/record-batch.ts';
import { Schema, type Field, type FieldType } from '../record/schema.ts';
import type { Decoded } from './decoder.ts';
import { JsonDecoder } from './json-decoder.ts';
import { messagesOf } from './messages-of.ts';

type Value = number | string | boolean | null | ReturnType<typeof digitsOf>;
type Row = Record<string, Value>;

/** What became of one message: its row, or the code and stage of its dead letter. */
type Outcome = { readonly row: Row; readonly eventTimeMs: number } | { readonly code: string; readonly stage: string };

/** Messages of several partitions, so that positions are told apart. */
function messagesIn(values: readonly Uint8Array[]): MessageBatch {
  return {
    ...messagesOf('transactions', values),
    partitions: Int32Array.from(values, (_, index) => index % 3),
    offsets: Float64Array.from(values, (_, index) => 1000 + index),
  };
}

/** Rows and dead letters put back in the order of their messages. */
function outcomesOf(messages: MessageBatch, decoded: Decoded): Outcome[] {
  const rows = toRows(decoded.records);
  const outcomes: Outcome[] = [];
  let row = 0;
  let letter = 0;
  for (let index = 0; index < messages.messageCount; index++) {
    const offset = messages.offsets[index];
    const found = decoded.deadLetters[letter];
    if (found !== undefined && found.offset === offset) {
      expect(found.partition).toBe(messages.partitions[index]);
      outcomes.push({ code: found.code, stage: found.stage });
      letter++;
    } else {
      expect(decoded.records.offsets[row]).toBe(offset);
      expect(decoded.records.partitions[row]).toBe(messages.partitions[index]);
      outcomes.push({ row: rows[row] ?? {}, eventTimeMs: decoded.records.eventTimesMs[row] ?? Number.NaN });
      row++;
    }
  }
  expect([row, letter]).toEqual([rows.length, decoded.deadLetters.length]);
  return outcomes;
}

/** The naive twin: a fatal TextDecoder, JSON.parse, and the rules on the object that comes out. */
function naiveOutcome(
  schema: Schema,
  eventTimeField: string,
  keyFields: readonly string[],
  bytes: Uint8Array,
): Outcome {
  let parsed: unknown;
  try {
    parsed = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return { code: 'JSON_MALFORMED', stage: 'decode' };
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    return { code: 'JSON_NOT_OBJECT', stage: 'decode' };
  }
  const values = new Map(Object.entries(parsed));
  const row: Row = {};
  for (const field of schema.fields) {
    const required = field.presence === 'required' || field.name === eventTimeField || keyFields.includes(field.name);
    const stage = field.name === eventTimeField ? 'event-time' : keyFields.includes(field.name) ? 'key' : 'decode';
    const value = naiveMember(values, field.name);
    const converted = value === null ? null : naiveValue(field.type, value);
    if (converted === null && required) return { code: 'FIELD_MISSING', stage };
    if (typeof converted === 'object' && converted !== null && 'code' in converted)
      return { code: converted.code, stage };
    Object.defineProperty(row, field.name, { value: converted, enumerable: true });
  }
  return { row, eventTimeMs: Number(row[eventTimeField]) };
}

/** The value of a field, which may be a member of an object; a symbol, of no field's type, where there is something else than an object. */
function naiveMember(values: ReadonlyMap<string, unknown>, name: string): unknown {
  const [owner = '', member] = name.split('.');
  const value = values.get(owner) ?? null;
  if (member === undefined || value === null) return value;
  if (typeof value !== 'object' || Array.isArray(value)) return Symbol('not an object');
  return new Map(Object.entries(value)).get(member) ?? null;
}

function naiveInstant(text: string): number {
  const parts = /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:[Zz]|([+-])(\d\d)(?::?(\d\d))?)$/.exec(
    text,
  );
  if (parts === null) return Number.NaN;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = parts.slice(1, 7).map(Number);
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  date.setUTCHours(hour, minute, second, Number((parts[7] ?? '').padEnd(3, '0').slice(0, 3)));
  const kept = [
    date.getUTCMonth() + 1,
    date.getUTCDate(),
    date.getUTCHours(),
    date.getUTCMinutes(),
    date.getUTCSeconds(),
  ];
  if (kept.join() !== [month, day, hour, minute, second].join()) return Number.NaN;
  const [zoneHours, zoneMinutes] = [Number(parts[9] ?? 0), Number(parts[10] ?? 0)];
  if (zoneHours > 23 || zoneMinutes > 59) return Number.NaN;
  return date.getTime() - (parts[8] === '-' ? -1 : 1) * (zoneHours * 60 + zoneMinutes) * 60_000;
}

/** Matches any text that is the same number: JSON.parse has lost how it was written. */
function digitsOf(value: number): { readonly asymmetricMatch: (text: unknown) => boolean } {
  return { asymmetricMatch: (text) => typeof text === 'string' && Object.is(Number(text), value) };
}

function naiveValue(type: FieldType, value: unknown): Value | { code: string } {
  switch (type) {
    case 'string':
      if (typeof value === 'number') return digitsOf(value);
      if (typeof value !== 'string') return { code: 'FIELD_TYPE' };
      return /\p{Surrogate}/u.test(value) ? { code: 'TEXT_INVALID' } : value;
    case 'boolean':
      return typeof value === 'boolean' ? value : { code: 'FIELD_TYPE' };
    case 'timestamp':
      if (typeof value === 'string') {
        const instantMs = naiveInstant(value);
        return Number.isNaN(instantMs) ? { code: 'FIELD_TYPE' } : instantMs;
      }
      if (typeof value !== 'number') return { code: 'FIELD_TYPE' };
      if (!Number.isFinite(value)) return { code: 'NUMBER_NOT_FINITE' };
      return Number.isInteger(value) && Math.abs(value) <= 8.64e15 ? value + 0 : { code: 'FIELD_TYPE' };
    case 'long':
    case 'double':
      if (typeof value !== 'number') return { code: 'FIELD_TYPE' };
      if (!Number.isFinite(value)) return { code: 'NUMBER_NOT_FINITE' };
      if (type === 'double') return value;
      if (!Number.isInteger(value)) return { code: 'FIELD_TYPE' };
      return Number.isSafeInteger(value) ? value + 0 : { code: 'LONG_UNSAFE' };
  }
}

const names = [
  'time',
  'card',
  'amount',
  'a',
  'ab',
  'é',
  'say "hi"',
  'back\\slash',
  '',
  '__proto__',
  'a":1',
  'o.a',
  'o.b"',
] as const;
const types: readonly FieldType[] = ['double', 'long', 'boolean', 'timestamp', 'string'];

const schemaArbitrary = fc
  .uniqueArray(
    fc.record({
      name: fc.constantFrom(...names.slice(2)),
      type: fc.constantFrom(...types),
      presence: fc.constantFrom<Field['presence']>('required', 'optional'),
    }),
    { selector: (field) => field.name, maxLength: 5 },
  )
  .chain((fields) =>
    fc.shuffledSubarray<Field>(
      [
        ...fields,
        { name: 'time', type: 'timestamp', presence: 'optional' },
        { name: 'card', type: 'string', presence: 'optional' },
      ],
      { minLength: fields.length + 2 },
    ),
  )
  .map((fields) => new Schema(fields));

const spaceArbitrary = fc.constantFrom('', '', '', ' ', '\n', '\t\r ');

/** Every UTF-16 unit as an escape. */
function escaped(text: string): string {
  return text
    .split('')
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
    .join('');
}

/** The text of a string, written plainly, or with every character escaped. */
const stringTextArbitrary = (content: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(content, fc.boolean()).map(([text, isEscaped]) => (isEscaped ? `"${escaped(text)}"` : JSON.stringify(text)));

const valueTextArbitrary: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(
    'null',
    'true',
    'false',
    '{}',
    '[]',
    '{"a":[1,{"b":null}]}',
    '[[ ],\n{"x" : "y"}]',
    '1769000000000',
    '12.5',
    '-0',
    '0',
    '7',
  ),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.constantFrom(
    '9007199254740991',
    '9007199254740992',
    '-9007199254740993',
    '8640000000000001',
    '12.0',
    '1e3',
    '1e400',
    '-0.0',
  ),
  stringTextArbitrary(fc.string({ unit: 'binary', maxLength: 12 })),
  stringTextArbitrary(
    fc.constantFrom(
      'plain',
      '2026-11-22T09:30:00Z',
      '2026-11-22 09:30:00.250+01:00',
      '2026-13-01T00:00:00Z',
      '\u2028"\\/\b\f\n\r\t',
    ),
  ),
  fc.constantFrom('"\\ud83d\\ude00"', '"\\ud83d"', '"\\ude00x"', '"\\ud83d\\ud83d\\ude00"', '"\\u0000"', '"\\/"'),
  fc.json({ maxDepth: 3 }),
);

/** Field values are mostly of a kind that the field takes, so that many documents are right. */
const entryArbitrary = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.tuple(fc.constantFrom('time'), fc.constantFrom('1769000000000', '"2026-11-22T09:30:00.125Z"', '-1')),
  },
  { weight: 3, arbitrary: fc.tuple(fc.constantFrom('card'), fc.constantFrom('"c1"', '""', '42')) },
  {
    weight: 4,
    arbitrary: fc.tuple(
      fc.constant('o'),
      fc.oneof(
        valueTextArbitrary,
        fc
          .array(fc.tuple(fc.constantFrom('a', 'b"', 'c', 'o'), valueTextArbitrary), { maxLength: 4 })
          .map((members) => `{ ${members.map(([name, value]) => `${JSON.stringify(name)} :${value}`).join(' , ')}}`),
      ),
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(fc.oneof(fc.constantFrom(...names), fc.string({ maxLength: 6 })), valueTextArbitrary),
  },
);

const documentArbitrary: fc.Arbitrary<string> = fc
  .tuple(
    fc.array(fc.tuple(entryArbitrary, fc.boolean(), spaceArbitrary, spaceArbitrary), { maxLength: 9 }),
    spaceArbitrary,
    fc.boolean(),
  )
  .map(([entries, space, usual]) => {
    const usually = usual ? ['"time":1769000000000', '"card":"c7"'] : [];
    const rest = entries.map(([[name, value], isEscaped, before, after]) => {
      const key = isEscaped ? `"${escaped(name)}"` : JSON.stringify(name);
      return `${before}${key}${after}:${before}${value}${after}`;
    });
    return `${space}{${[...usually, ...rest].join(',')}}${space}`;
  });

/** Bytes put in, taken out, or changed: near misses of JSON. */
const damageArbitrary = fc.array(
  fc.tuple(
    fc.nat(),
    fc.constantFrom('insert', 'delete', 'replace', 'cut'),
    fc.oneof(fc.nat(255), fc.constantFrom(...'{}[]",:\\0e-.tn '.split('').map((c) => c.charCodeAt(0)))),
  ),
  { maxLength: 2 },
);

function damaged(bytes: Uint8Array, damage: readonly (readonly [number, string, number])[]): Uint8Array {
  const list = [...bytes];
  for (const [where, how, byte] of damage) {
    const at = where % (list.length + 1);
    if (how === 'insert') list.splice(at, 0, byte);
    else if (how === 'delete') list.splice(at, 1);
    else if (how === 'replace') list.splice(at, 1, byte);
    else list.length = at;
  }
  return Uint8Array.from(list);
}

describe('JsonDecoder and its JSON.parse twin', () => {
  const compare = (schema: Schema, keyFields: readonly string[], values: readonly Uint8Array[]): void => {
    const messages = messagesIn(values);
    const decoder = new JsonDecoder({ schema, eventTimeField: 'time', keyFields });
    const expected = values.map((bytes) => naiveOutcome(schema, 'time', keyFields, bytes));
    // A bare NaN or Infinity is malformed for JSON.parse; the decoder names it.
    const outcomes = outcomesOf(messages, decoder.decode(messages)).map((outcome, index) =>
      'code' in outcome &&
      outcome.code === 'NUMBER_NOT_FINITE' &&
      /NaN|Infinity/.test(new TextDecoder().decode(values[index]))
        ? { code: 'JSON_MALFORMED', stage: 'decode' }
        : outcome,
    );
    expect(outcomes).toEqual(expected);
  };

  it('agree on the rows, the dead letters and their codes, for documents well-formed and not', () => {
    fc.assert(
      fc.property(
        schemaArbitrary,
        fc.constantFrom([], ['card']),
        fc.array(fc.tuple(documentArbitrary, damageArbitrary), { minLength: 1, maxLength: 8 }),
        (schema, keyFields, documents) => {
          compare(
            schema,
            keyFields,
            documents.map(([text, damage]) => damaged(new TextEncoder().encode(text), damage)),
          );
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('agree on arbitrary JSON and arbitrary bytes', () => {
    fc.assert(
      fc.property(
        schemaArbitrary,
        fc.array(
          fc.oneof(
            fc.json().map((text) => new TextEncoder().encode(text)),
            fc.uint8Array({ maxLength: 20 }),
          ),
          { maxLength: 6 },
        ),
        (schema, values) => compare(schema, [], values),
      ),
      { numRuns: 1000 },
    );
  });
});
