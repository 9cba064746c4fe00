import fc from 'fast-check';
import { numberColumnOf, utf8ColumnOf } from '../../record/column.ts';
import { recordBatch, type RecordBatch } from '../../record/record-batch.ts';
import { Schema } from '../../record/schema.ts';
import type { RowValue } from './row-interpreter.ts';

/** The fields that random expressions read: of every type, some never null. */
export const arbitrarySchema: Schema = new Schema([
  { name: 'a', type: 'double', presence: 'optional' },
  { name: 'b', type: 'double', presence: 'required' },
  { name: 'n', type: 'long', presence: 'optional' },
  { name: 'flag', type: 'boolean', presence: 'optional' },
  { name: 's', type: 'string', presence: 'optional' },
  { name: 'u', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'optional' },
  { name: 'since', type: 'timestamp', presence: 'required' },
]);

/** One row of {@link arbitrarySchema}. */
export type ArbitraryRow = Readonly<Record<string, RowValue>>;

const numbers = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 0.5, -0.5, 2.5, -2.5, 100, 1e-3, 1e15),
  fc.integer({ min: -5, max: 5 }),
  fc.double({ min: -1000, max: 1000, noNaN: true }).map((value) => Math.round(value * 1e6) / 1e6 + 0),
);
const texts = fc.constantFrom('', 'a', 'ab', 'abc', 'b', 'é', 'éa', 'POS', 'pos 1');
const instants = fc.oneof(
  fc.constantFrom(0, -1, 1_522_540_800_000, 1_522_627_199_999),
  fc.integer({ min: -1e12, max: 2e12 }),
);

function orNull<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> {
  return fc.option(value, { freq: 4 });
}

/** Random rows, with nulls, zeros, halves and ties. */
export const arbitraryRow: fc.Arbitrary<ArbitraryRow> = fc.record({
  a: orNull(numbers),
  b: numbers,
  n: orNull(fc.integer({ min: -100, max: 100 })),
  flag: orNull(fc.boolean()),
  s: orNull(texts),
  u: texts,
  at: orNull(instants),
  since: instants,
});

/** The rows as a batch. */
export function batchOfRows(rows: readonly ArbitraryRow[]): RecordBatch {
  const columns = arbitrarySchema.fields.map(({ name, type }) => {
    const values = rows.map((row) => row[name] ?? null);
    return type === 'string'
      ? utf8ColumnOf(values.map((value) => (value === null ? null : String(value))))
      : numberColumnOf(values.map((value) => (value === null ? null : Number(value))));
  });
  return recordBatch(arbitrarySchema, columns, {
    partition: 0,
    offset: 0,
    eventTimesMs: new Float64Array(rows.length),
  });
}

const literals = {
  number: fc.constantFrom('0', '1', '2', '2.5', '0.5', '1e3', '7'),
  text: fc.constantFrom("'a'", "'ab'", '"é"', "''", '"POS"', '"it\'s"', '"back\\\\slash"'),
};

interface Grammar {
  number: string;
  boolean: string;
  string: string;
  timestamp: string;
}

/** Random well-typed expressions as text, by the type of their value. Bounded in depth. */
export const arbitraryExpression: { readonly [Type in keyof Grammar]: fc.Arbitrary<string> } = fc.letrec<Grammar>(
  (tieAny) => {
    // fast-check types the grammar's references as unknown; each is a text.
    const tie = (kind: keyof Grammar): fc.Arbitrary<string> => tieAny(kind) as fc.Arbitrary<string>;
    const call = (name: string, ...operands: (keyof Grammar)[]): fc.Arbitrary<string> =>
      fc.tuple(...operands.map((operand) => tie(operand))).map((written) => `${name}(${written.join(', ')})`);
    const infix = (signs: readonly string[], left: keyof Grammar, right: keyof Grammar): fc.Arbitrary<string> =>
      fc.tuple(tie(left), fc.constantFrom(...signs), tie(right)).map(([a, sign, b]) => `(${a} ${sign} ${b})`);
    const choice = (kind: keyof Grammar): fc.Arbitrary<string> =>
      fc.oneof(
        fc.tuple(tie('boolean'), tie(kind), tie(kind)).map(([test, a, b]) => `(${test} ? ${a} : ${b})`),
        tie(kind).map((a) => `(flag ? ${a} : null)`),
        call('coalesce', kind, kind),
      );
    const comparisons = ['==', '!=', '<', '<=', '>', '>='];
    const depth = { depthSize: 'small', maxDepth: 4 } as const;
    return {
      number: fc.oneof(
        depth,
        fc.constantFrom('a', 'b', 'n'),
        literals.number,
        infix(['+', '-', '*', '/'], 'number', 'number'),
        // Of plain operands only: ClickHouse's remainder is not exact where the quotient has more digits than a double.
        fc
          .tuple(fc.constantFrom('a', 'b', 'n'), fc.constantFrom('0', '2', '2.5', 'n'))
          .map(([a, b]) => `(${a} % ${b})`),
        tie('number').map((a) => `-(${a})`),
        fc
          .constantFrom('abs', 'floor', 'ceil', 'round', 'sqrt', 'toLong', 'double')
          .chain((name) => call(name, 'number')),
        fc.constantFrom('min', 'max').chain((name) => call(name, 'number', 'number')),
        call('toDouble', 'boolean'),
        infix(['-'], 'timestamp', 'timestamp'),
        fc.constantFrom('hour', 'dayOfWeek', 'secondOfDay').chain((name) => call(name, 'timestamp')),
        tie('string').map((text) => `size(${text})`),
        fc.tuple(tie('string'), fc.constantFrom('a', 'é', 'ab')).map(([text, of]) => `occurrences(${text}, "${of}")`),
        fc.constant('duration("1h30m")'),
        choice('number'),
      ),
      boolean: fc.oneof(
        depth,
        fc.constantFrom('flag', 'true', 'false'),
        infix(comparisons, 'number', 'number'),
        infix(comparisons, 'string', 'string'),
        infix(comparisons, 'timestamp', 'timestamp'),
        infix(['==', '!='], 'boolean', 'boolean'),
        infix(['&&', '||'], 'boolean', 'boolean'),
        tie('boolean').map((a) => `!(${a})`),
        fc
          .tuple(fc.constantFrom('number', 'string', 'boolean', 'timestamp'), fc.constantFrom('== null', '!= null'))
          .chain(([kind, test]) => tie(kind).map((operand) => `(${operand} ${test})`)),
        fc.constantFrom('startsWith', 'endsWith', 'contains').chain((name) => call(name, 'string', 'string')),
        tie('string').map((text) => `(${text}).matches("^[ab]+|é")`),
        tie('string').map((text) => `(${text} in ["a", "ab", "é", "POS"])`),
        tie('number').map((number) => `(${number} in [0, 1, -1, 2.5])`),
        fc.constantFrom('has(a)', 'has(s)'),
        choice('boolean'),
      ),
      string: fc.oneof(
        depth,
        fc.constantFrom('s', 'u'),
        literals.text,
        infix(['+'], 'string', 'string'),
        fc
          .tuple(tie('string'), fc.constantFrom('a', 'b', 'é', 'ab'), fc.nat(2))
          .map(([text, at, number]) => `part(${text}, "${at}", ${number})`),
        choice('string'),
      ),
      timestamp: fc.oneof(
        depth,
        fc.constantFrom('at', 'since'),
        fc.constant('timestamp("2018-04-01T02:00:00+02:00")'),
        choice('timestamp'),
      ),
    };
  },
);
