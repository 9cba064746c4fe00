import { Session } from 'chdb';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { valueAt } from '../record/column.ts';
import { clickHousePrelude } from './clickhouse-prelude.ts';
import { tryCompileExpression } from './compile-expression.ts';
import { arbitraryExpression, arbitraryRow, arbitrarySchema, batchOfRows } from './testing/arbitrary-expression.ts';

const session = new Session();
afterAll(() => session.close());

const rows = fc.sample(arbitraryRow, { numRuns: 60, seed: 20_261_122 });
const clickHouseTypes = {
  double: 'Float64',
  long: 'Float64',
  timestamp: 'Float64',
  boolean: 'UInt8',
  string: 'String',
};
const columns = arbitrarySchema.fields
  .map(({ name, type, presence }) => {
    const plain = clickHouseTypes[type];
    return `${name} ${presence === 'optional' ? `Nullable(${plain})` : plain}`;
  })
  .join(', ');
session.query(`CREATE TABLE rows (row UInt32, ${columns}) ENGINE = Memory`);
session.query(
  `INSERT INTO rows FORMAT JSONEachRow ${rows.map((row, index) => JSON.stringify({ row: index, ...row })).join('\n')}`,
);

/** Whether ClickHouse found what was expected; its logarithms and powers may differ in the last digits. */
function agrees(found: unknown, expected: number | string | null): boolean {
  if (typeof expected !== 'number' || typeof found !== 'number') return found === expected;
  return Math.abs(found - expected) <= 1e-9 * Math.max(1, Math.abs(expected));
}

describe('the SQL of an expression', () => {
  it('gives in ClickHouse what the column loops give', () => {
    const exact = fc.oneof(arbitraryExpression.number, arbitraryExpression.boolean, arbitraryExpression.string);
    const rounded = fc.oneof(
      fc
        .tuple(fc.constantFrom('log', 'exp', 'sin', 'cos'), arbitraryExpression.number)
        .map(([name, operand]) => `${name}(min(max(${operand}, -100), 100))`),
      fc
        .tuple(arbitraryExpression.number, arbitraryExpression.number)
        .map(([a, b]) => `pow(min(${a}, 10), min(max(${b}, -9), 10))`),
    );
    const batch = batchOfRows(rows);
    fc.assert(
      fc.property(fc.oneof({ weight: 5, arbitrary: exact }, { weight: 1, arbitrary: rounded }), (text) => {
        const outcome = tryCompileExpression(text, arbitrarySchema);
        if (outcome.problems !== null) return;
        const sql = outcome.expression.toClickHouseSql((name) => name);
        const answer = session.query(
          `WITH ${clickHousePrelude.join(', ')} SELECT ${sql} AS value FROM rows ORDER BY row`,
          'JSONCompactEachRow',
        );
        const got = answer
          .trim()
          .split('\n')
          .map((line) => (JSON.parse(line) as unknown[])[0]);
        const column = outcome.expression.evaluate(batch);
        rows.forEach((row, index) => {
          const expected = valueAt(column, index);
          const found = typeof got[index] === 'boolean' ? Number(got[index]) : got[index];
          const about = `${text}\n${sql}\nof ${JSON.stringify(row)}: expected ${expected}, got ${String(found)}`;
          expect({ about, agrees: agrees(found, expected) }).toEqual({ about, agrees: true });
        });
      }),
      { numRuns: 500 },
    );
  });
});
