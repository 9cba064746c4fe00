import { RE2JS, RE2JSException } from 're2js';
import { numberColumn, valueAt } from '../../record/column.ts';
import type { ExpressionProblem } from '../expression-problem.ts';
import { bothValid, truths } from '../number-loops.ts';
import { argument, type Overload } from '../overload.ts';
import { sqlString, stringsOf, type TypedNode } from '../typed-node.ts';
import { byteLengthAt, joinStrings, sameBytes } from '../utf8-loops.ts';

/** A test of the bytes `[startA, startA + sizeA)` by the bytes `[startB, startB + sizeB)`, such as "starts with". */
type ByteTest = (a: Uint8Array, startA: number, sizeA: number, b: Uint8Array, startB: number, sizeB: number) => boolean;

const startsWith: ByteTest = (a, startA, sizeA, b, startB, sizeB) =>
  sizeB <= sizeA && sameBytes(a, startA, b, startB, sizeB);

const endsWith: ByteTest = (a, startA, sizeA, b, startB, sizeB) =>
  sizeB <= sizeA && sameBytes(a, startA + sizeA - sizeB, b, startB, sizeB);

const contains: ByteTest = (a, startA, sizeA, b, startB, sizeB) => {
  for (let at = 0; at + sizeB <= sizeA; at++) {
    if (sameBytes(a, startA + at, b, startB, sizeB)) return true;
  }
  return false;
};

function byteTest(test: ByteTest, sql: (a: string, b: string) => string): Overload {
  return {
    parameters: ['string', 'string'],
    result: 'boolean',
    build: (nodes) => {
      const [first, second] = [argument(nodes, 0), argument(nodes, 1)];
      return (batch) => {
        const a = stringsOf(first, batch);
        const b = stringsOf(second, batch);
        return truths(batch, bothValid(a.valid, b.valid), (row) =>
          test(a.data, a.offsets[row] ?? 0, byteLengthAt(a, row), b.data, b.offsets[row] ?? 0, byteLengthAt(b, row)),
        );
      };
    },
    sql: ([a = '', b = '']) => sql(a, b),
  };
}

/** The number of code points: the bytes that do not continue one. */
const size: Overload = {
  parameters: ['string'],
  result: 'long',
  build: (nodes) => {
    const first = argument(nodes, 0);
    return (batch) => {
      const { data, offsets, valid } = stringsOf(first, batch);
      const out = new Float64Array(batch.rowCount);
      for (let row = 0; row < out.length; row++) {
        let count = 0;
        for (let at = offsets[row] ?? 0; at < (offsets[row + 1] ?? 0); at++)
          count += ((data[at] ?? 0) & 0xc0) === 0x80 ? 0 : 1;
        out[row] = count;
      }
      return numberColumn(out, valid);
    };
  },
  sql: ([a]) => `toFloat64(lengthUTF8(${a}))`,
};

function patternOf(nodes: readonly TypedNode[]): string {
  return String(argument(nodes, 1).constant?.value);
}

function refusePattern(nodes: readonly TypedNode[]): ExpressionProblem | null {
  try {
    RE2JS.compile(patternOf(nodes));
    return null;
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const { span } = argument(nodes, 1);
    return {
      span,
      message: `the pattern cannot be read: ${error.message}`,
      expected: 'a pattern in RE2 syntax',
      nearest: null,
    };
  }
}

/** Whether the pattern is found anywhere. RE2 takes time in proportion to the text, whatever the pattern; a string is made for each row. */
const matches: Overload = {
  parameters: ['string', 'text'],
  result: 'boolean',
  refuse: refusePattern,
  build: (nodes) => {
    const first = argument(nodes, 0);
    const pattern = RE2JS.compile(patternOf(nodes));
    return (batch) => {
      const column = stringsOf(first, batch);
      return truths(batch, column.valid, (row) => {
        const text = valueAt(column, row);
        return typeof text === 'string' && pattern.matcher(text).find();
      });
    };
  },
  // ClickHouse lets "." match a line break unless told otherwise; RE2, like CEL, does not.
  sql: ([a], nodes) => `match(${a}, ${sqlString(`(?-s)${patternOf(nodes)}`)})`,
};

/** `a + b` over strings. */
export const joinOverload: Overload = {
  parameters: ['string', 'string'],
  result: 'string',
  build: (nodes) => {
    const [first, second] = [argument(nodes, 0), argument(nodes, 1)];
    return (batch) => {
      const a = stringsOf(first, batch);
      const b = stringsOf(second, batch);
      return joinStrings(a, b, bothValid(a.valid, b.valid));
    };
  },
  sql: ([a, b]) => `concat(${a}, ${b})`,
};

/** Tests of strings, over their UTF-8 bytes: no string is made but for `matches`. */
export const strings: Readonly<Record<string, readonly Overload[]>> = {
  startsWith: [byteTest(startsWith, (a, b) => `startsWith(${a}, ${b})`)],
  endsWith: [byteTest(endsWith, (a, b) => `endsWith(${a}, ${b})`)],
  contains: [byteTest(contains, (a, b) => `(position(${a}, ${b}) > 0)`)],
  size: [size],
  matches: [matches],
};
