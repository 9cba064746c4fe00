import { numberColumn, type Column, type NumberColumn } from '../../record/column.ts';
import type { RecordBatch } from '../../record/record-batch.ts';
import type { FieldType } from '../../record/schema.ts';
import { argument, type Overload, type ParameterKind } from '../overload.ts';
import { numbersOf, stringsOf, type TypedNode } from '../typed-node.ts';
import { chooseStrings } from '../utf8-loops.ts';

/** Which of two columns each row comes from: 0 neither (null), 1 the first, 2 the second. */
type Picks = Uint8Array;

function chooseNumbers(pick: Picks, first: NumberColumn, second: NumberColumn): NumberColumn {
  const out = new Float64Array(pick.length);
  const valid = new Uint8Array(pick.length);
  for (let row = 0; row < pick.length; row++) {
    if (pick[row] === 0) continue;
    const source = pick[row] === 1 ? first : second;
    out[row] = source.values[row] ?? 0;
    valid[row] = source.valid === null || source.valid[row] === 1 ? 1 : 0;
  }
  return numberColumn(out, valid);
}

function choose(pick: Picks, first: TypedNode, second: TypedNode, batch: RecordBatch): Column {
  return first.type === 'string' || second.type === 'string'
    ? chooseStrings(pick, stringsOf(first, batch), stringsOf(second, batch))
    : chooseNumbers(pick, numbersOf(first, batch), numbersOf(second, batch));
}

/** The type of a choice between two: the one that is not the literal null; long only where both are. */
function commonType(first: TypedNode, second: TypedNode): FieldType {
  if (first.type === 'null') return second.type === 'null' ? 'double' : second.type;
  if (second.type === 'null') return first.type;
  return first.type === second.type ? first.type : 'double';
}

function condition(batch: RecordBatch, node: TypedNode): Picks {
  const { values, valid } = numbersOf(node, batch);
  const pick = new Uint8Array(batch.rowCount);
  for (let row = 0; row < pick.length; row++) {
    if (valid === null || valid[row] === 1) pick[row] = values[row] === 1 ? 1 : 2;
  }
  return pick;
}

function conditional(then: ParameterKind, otherwise: ParameterKind): Overload {
  return {
    parameters: ['boolean', then, otherwise],
    result: (nodes) => commonType(argument(nodes, 1), argument(nodes, 2)),
    build: (nodes) => {
      const [test, first, second] = [argument(nodes, 0), argument(nodes, 1), argument(nodes, 2)];
      return (batch) => choose(condition(batch, test), first, second, batch);
    },
    sql: ([test, a, b]) => `choose(${test}, ${a}, ${b})`,
  };
}

function coalesce(kind: ParameterKind): Overload {
  return {
    parameters: [kind, kind],
    result: (nodes) => commonType(argument(nodes, 0), argument(nodes, 1)),
    build: (nodes) => {
      const [first, second] = [argument(nodes, 0), argument(nodes, 1)];
      return (batch) => {
        const a = first.evaluate(batch);
        if (a.valid === null) return a;
        const pick = new Uint8Array(batch.rowCount);
        for (let row = 0; row < pick.length; row++) pick[row] = a.valid[row] === 1 ? 1 : 2;
        return choose(pick, first, second, batch);
      };
    },
    sql: ([a, b]) => `ifNull(${a}, ${b})`,
  };
}

const kinds: readonly ParameterKind[] = ['number', 'string', 'timestamp', 'boolean'];

/** `c ? a : b` (null where `c` is), and `coalesce(a, b)`: `a`, or `b` where `a` is null. */
export const choice: Readonly<Record<string, readonly Overload[]>> = {
  '?:': kinds.flatMap((kind) => [conditional(kind, kind), conditional(kind, 'null'), conditional('null', kind)]),
  coalesce: kinds.map(coalesce),
};
