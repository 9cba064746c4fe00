import { numberColumn } from '../../record/column.ts';
import type { Span } from '../expression-problem.ts';
import { truths } from '../number-loops.ts';
import { numbersOf, sqlNumber, sqlString, stringsOf, type TypedNode } from '../typed-node.ts';
import { byteLengthAt, sameBytes } from '../utf8-loops.ts';

const encoder = new TextEncoder();

/** `x in ["a", "b"]` over strings, by length and bytes; null where `x` is. */
export function inStrings(tested: TypedNode, members: readonly string[], span: Span): TypedNode {
  const byLength = new Map<number, Uint8Array[]>();
  for (const member of members) {
    const bytes = encoder.encode(member);
    const sameLength = byLength.get(bytes.length);
    if (sameLength === undefined) byLength.set(bytes.length, [bytes]);
    else sameLength.push(bytes);
  }
  return {
    type: 'boolean',
    span,
    constant: null,
    evaluate: (batch) => {
      const column = stringsOf(tested, batch);
      return truths(batch, column.valid, (row) => {
        const length = byteLengthAt(column, row);
        const candidates = byLength.get(length);
        if (candidates === undefined) return false;
        for (const bytes of candidates) {
          if (sameBytes(column.data, column.offsets[row] ?? 0, bytes, 0, length)) return true;
        }
        return false;
      });
    },
    sql: (nameOf) => listSql(tested.sql(nameOf), members.map(sqlString)),
  };
}

/** `x in [1, 2]` over numbers; null where `x` is. */
export function inNumbers(tested: TypedNode, members: readonly number[], span: Span): TypedNode {
  const set = new Set(members);
  return {
    type: 'boolean',
    span,
    constant: null,
    evaluate: (batch) => {
      const { values, valid } = numbersOf(tested, batch);
      const out = new Float64Array(batch.rowCount);
      for (let row = 0; row < out.length; row++) out[row] = set.has(values[row] ?? 0) ? 1 : 0;
      return numberColumn(out, valid);
    },
    sql: (nameOf) => listSql(tested.sql(nameOf), members.map(sqlNumber)),
  };
}

function listSql(tested: string, members: readonly string[]): string {
  return `choose(isNull(${tested}), NULL, has([${members.join(', ')}], ${tested}))`;
}
