import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { valueAt } from '../record/column.ts';
import { SluiceError } from '../error.ts';
import { compileExpression, tryCompileExpression } from './compile-expression.ts';
import { parseExpression } from './syntax.ts';
import {
  arbitraryExpression,
  arbitraryRow,
  arbitrarySchema,
  batchOfRows,
  type ArbitraryRow,
} from './testing/arbitrary-expression.ts';
import { interpretRow, type RowValue } from './testing/row-interpreter.ts';

const plainRow: ArbitraryRow = { a: 3, b: 0, n: 7, flag: true, s: 'é', u: 'ab', at: 0, since: 90_000_000 };

function valueOf(text: string, row: Partial<Record<string, RowValue>> = {}): number | string | null {
  const full = { ...plainRow, ...row } as ArbitraryRow;
  return valueAt(compileExpression(text, arbitrarySchema).evaluate(batchOfRows([full])), 0);
}

function problemsOf(text: string): readonly { column: number; message: string; nearest: string | null }[] {
  return (tryCompileExpression(text, arbitrarySchema).problems ?? []).map(({ span, message, nearest }) => ({
    column: span.start + 1,
    message,
    nearest,
  }));
}

describe('a compiled expression', () => {
  it('agrees with the row-at-a-time interpreter on random expressions and batches', () => {
    const written = fc.oneof(
      arbitraryExpression.number,
      arbitraryExpression.boolean,
      arbitraryExpression.string,
      arbitraryExpression.timestamp,
      fc
        .tuple(fc.constantFrom('log', 'exp', 'sin', 'cos'), arbitraryExpression.number)
        .map(([name, operand]) => `${name}(${operand})`),
      fc.tuple(arbitraryExpression.number, arbitraryExpression.number).map(([a, b]) => `pow(${a}, ${b})`),
    );
    fc.assert(
      fc.property(written, fc.array(arbitraryRow, { maxLength: 12 }), (text, rows) => {
        const outcome = tryCompileExpression(text, arbitrarySchema);
        // "(flag ? null : null)" and its like have no type.
        if (outcome.problems !== null) return;
        const parsed = parseExpression(text);
        if (parsed.problems !== null) throw new Error('compiled, so it parses');
        const column = outcome.expression.evaluate(batchOfRows(rows));
        const { type } = outcome.expression;
        rows.forEach((row, index) => {
          const expected = interpretRow(parsed.root, row);
          const got = valueAt(column, index);
          const plain = type === 'boolean' && got !== null ? got === 1 : got;
          expect(plain === 0 ? 0 : plain, `${text} of ${JSON.stringify(row)}`).toBe(expected === 0 ? 0 : expected);
        });
      }),
      { numRuns: 3_000 },
    );
  });

  it('treats numbers as one type', () => {
    expect(valueOf('1 / 2')).toBe(0.5);
    expect(valueOf('n > 2.5')).toBe(1);
    expect(valueOf('n / 2')).toBe(3.5);
  });

  it('gives null for what has no finite value', () => {
    expect(valueOf('a / b')).toBeNull();
    expect(valueOf('b / b')).toBeNull();
    expect(valueOf('1 / (a / b)')).toBeNull();
    expect(valueOf('log(b)')).toBeNull();
    expect(valueOf('sqrt(-a)')).toBeNull();
    expect(valueOf('1e308 * 10 * a')).toBeNull();
  });

  it('asks for and replaces null', () => {
    expect(valueOf('a == null', { a: null })).toBe(1);
    expect(valueOf('has(a)', { a: null })).toBe(0);
    expect(valueOf('coalesce(a / b, 1)')).toBe(1);
    expect(valueOf('a > 0 ? 1 : 2', { a: null })).toBeNull();
    expect(valueOf('a > 0 || true', { a: null })).toBe(1);
    expect(valueOf('a > 0 && true', { a: null })).toBeNull();
  });

  it('reads instants in UTC', () => {
    const sunday = Date.UTC(2018, 3, 1, 23, 59, 59, 999);
    expect(valueOf('hour(at)', { at: sunday })).toBe(23);
    expect(valueOf('dayOfWeek(at)', { at: sunday })).toBe(0);
    expect(valueOf('at.getHours()', { at: -1 })).toBe(23);
    expect(valueOf('since - at > duration("1d")', { at: 0, since: 86_400_001 })).toBe(1);
    expect(valueOf('at >= timestamp("2018-04-01T00:00:00Z")', { at: sunday })).toBe(1);
  });

  it('counts code points, and compares strings by code point', () => {
    expect(valueOf('size(s)')).toBe(1);
    expect(valueOf('s > "z"')).toBe(1);
    expect(valueOf('"" < u')).toBe(1);
    expect(valueOf('u == "ab" && u != "a"')).toBe(1);
  });

  it('rounds halves away from zero', () => {
    expect(valueOf('round(2.5)')).toBe(3);
    expect(valueOf('round(-2.5)')).toBe(-3);
    expect(valueOf('round(0.49999999999999994)')).toBe(0);
  });

  it('computes constant parts once, at plan time', () => {
    const batch = batchOfRows([plainRow, plainRow]);
    const expression = compileExpression('2 * pi() * 3', arbitrarySchema);
    expect(expression.evaluate(batch)).toEqual(expression.evaluate(batch));
    expect(valueAt(expression.evaluate(batch), 1)).toBe(2 * Math.PI * 3);
    expect(expression.toClickHouseSql((name) => name)).toBe(String(2 * Math.PI * 3));
  });

  it('gives a constant for batches of any size, one after the other', () => {
    const expression = compileExpression('u + "x"', arbitrarySchema);
    for (const size of [3, 1, 5, 0, 2]) {
      const column = expression.evaluate(batchOfRows(Array.from({ length: size }, () => plainRow)));
      expect(Array.from({ length: size }, (_, row) => valueAt(column, row))).toEqual(Array(size).fill('abx'));
    }
  });

  it('names the columns that it reads, once each', () => {
    expect(compileExpression('a + n * a > b', arbitrarySchema).reads).toEqual(['a', 'n', 'b']);
  });

  it('is written one way, however it was spaced, quoted and bracketed', () => {
    const canonical = (text: string): string => compileExpression(text, arbitrarySchema).canonical;
    expect(canonical(' ( a*2 )+b')).toBe(canonical('a * 2 + b'));
    expect(canonical("u == 'x'")).toBe(canonical('u=="x"'));
    expect(canonical('a * (2 + b)')).not.toBe(canonical('a * 2 + b'));
    expect(canonical('-(a + b) > 1 ? !flag : u.startsWith("a")')).toBe('(-(a + b) > 1) ? !flag : startsWith(u, "a")');
  });
});

describe('what is wrong with an expression', () => {
  it('is an unknown name, with its column and the nearest valid one', () => {
    expect(problemsOf('b + sinse')).toEqual([
      { column: 5, message: 'no field or feature is named "sinse"', nearest: 'since' },
    ]);
  });

  it('is all reported at once', () => {
    expect(problemsOf('ax + by > 3 && sqroot(a) > 1').map(({ column }) => column)).toEqual([1, 6, 16]);
  });

  it('is an unknown function, with the nearest one', () => {
    expect(problemsOf('coalese(a, 1)')).toEqual([
      { column: 1, message: 'there is no function "coalese"', nearest: 'coalesce' },
    ]);
  });

  it('is a type that does not fit', () => {
    expect(problemsOf('a + s')[0]?.message).toBe('"+" cannot be used with (double, string)');
    expect(problemsOf('flag * 2')[0]?.message).toBe('"*" cannot be used with (boolean, long)');
    expect(problemsOf('a ? 1 : 2')[0]?.message).toBe('the choice "? :" cannot be used with (double, long, long)');
    expect(problemsOf('pow(a)')[0]?.message).toBe('"pow" cannot be used with (double)');
    expect(problemsOf('u.matches(s)')[0]?.message).toBe('"matches" cannot be used with (string, string)');
  });

  it.each([
    ['1 +', 'the expression ends too early'],
    ['', 'the expression ends too early'],
    ['a @ b', 'unexpected character: @'],
    ['abs(a).b', 'only a field may be before a "."'],
    ['a[0]', 'there is nothing to index: every field is a single value'],
    ['[1, 2]', 'a list stands only after "in"'],
    ['u in s', '"in" needs a list'],
    ['u in ["a", s]', 'the list holds a variable'],
    ['u in ["a", 1]', 'the list holds a long'],
    ['null', 'the expression is always null'],
    ['99999999999999999999', 'a whole number must be at most 2^53 in magnitude'],
    ['timestamp("yesterday") < at', '"yesterday" is no instant'],
    ['duration("1 day")', '"1 day" is no duration'],
    ['b"x" == u', 'bytes have no use here'],
    ['[1].all(x, x > 0)', 'a list stands only after "in"'],
  ])('is said of %s', (text, message) => {
    expect(problemsOf(text).map((found) => found.message)).toContain(message);
  });

  it('is a pattern that RE2 cannot read', () => {
    expect(problemsOf('u.matches("[")')[0]?.message).toContain('the pattern cannot be read');
  });

  it('comes as a SluiceError where there is no file to point into', () => {
    expect(() => compileExpression('b + sinse', arbitrarySchema)).toThrow(
      expect.objectContaining({
        code: 'EXPRESSION_INVALID',
        fields: expect.objectContaining({ column: 5, nearest: 'since' }) as unknown,
        message: expect.stringContaining('did you mean "since"?') as unknown,
      }),
    );
    expect(() => compileExpression('1 +', arbitrarySchema)).toThrow(SluiceError);
  });

  it('is that it is too large for the bounds', () => {
    expect(problemsOf('('.repeat(200) + 'a' + ')'.repeat(200)).length).toBe(1);
    expect(problemsOf(Array(3_000).fill('a').join(' + ')).length).toBe(1);
  });
});
