import type { Column } from '../../record/column.ts';
import { numberColumn } from '../../record/column.ts';
import type { RecordBatch } from '../../record/record-batch.ts';
import { binary, bothValid, truths, type BinaryLoop } from '../number-loops.ts';
import { argument, type Overload } from '../overload.ts';
import { stringsOf, type Evaluate, type TypedNode } from '../typed-node.ts';
import { compareRows } from '../utf8-loops.ts';

type Sign = '==' | '!=' | '<' | '<=' | '>' | '>=';

/** One loop a sign, each written out, so that the compiler of the runtime sees a plain comparison and no call. */
const loops: Readonly<Record<Sign, BinaryLoop>> = {
  '==': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = a[row] === b[row] ? 1 : 0;
  },
  '!=': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = a[row] === b[row] ? 0 : 1;
  },
  '<': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) < (b[row] ?? 0) ? 1 : 0;
  },
  '<=': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) <= (b[row] ?? 0) ? 1 : 0;
  },
  '>': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) > (b[row] ?? 0) ? 1 : 0;
  },
  '>=': (a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) >= (b[row] ?? 0) ? 1 : 0;
  },
};

/** What each sign says of an order: of `compare(a, b)`, which is negative, 0 or positive. */
const holds: Readonly<Record<Sign, (order: number) => boolean>> = {
  '==': (order) => order === 0,
  '!=': (order) => order !== 0,
  '<': (order) => order < 0,
  '<=': (order) => order <= 0,
  '>': (order) => order > 0,
  '>=': (order) => order >= 0,
};

function sqlSign(sign: Sign): string {
  return sign === '==' ? '=' : sign;
}

function ofNumbers(sign: Sign, kind: 'number' | 'timestamp' | 'boolean'): Overload {
  return {
    parameters: [kind, kind],
    result: 'boolean',
    build: binary(loops[sign], 'finite'),
    sql: ([a, b]) => `(${a} ${sqlSign(sign)} ${b})`,
  };
}

/** Strings compare by their bytes, which for UTF-8 is the order of code points, and ClickHouse's. */
function ofStrings(sign: Sign): Overload {
  return {
    parameters: ['string', 'string'],
    result: 'boolean',
    build: (nodes) => {
      const first = argument(nodes, 0);
      const second = argument(nodes, 1);
      const test = holds[sign];
      return (batch) => {
        const a = stringsOf(first, batch);
        const b = stringsOf(second, batch);
        return truths(batch, bothValid(a.valid, b.valid), (row) => test(compareRows(a, row, b, row)));
      };
    },
    sql: ([a, b]) => `(${a} ${sqlSign(sign)} ${b})`,
  };
}

/** The rows whose value is null (`wanted` 1) or is not (0); never null itself. */
function nullness(column: Column, batch: RecordBatch, wanted: 0 | 1): Column {
  const out = new Float64Array(batch.rowCount).fill(1 - wanted);
  if (column.valid !== null) {
    for (let row = 0; row < out.length; row++) out[row] = column.valid[row] === 1 ? 1 - wanted : wanted;
  }
  return numberColumn(out);
}

function nullTest(operand: 0 | 1, wanted: 0 | 1): Pick<Overload, 'build' | 'sql' | 'result'> {
  return {
    result: 'boolean',
    build: (nodes: readonly TypedNode[]): Evaluate => {
      const tested = argument(nodes, operand);
      return (batch) => nullness(tested.evaluate(batch), batch, wanted);
    },
    sql: (operands) => `${wanted === 1 ? 'isNull' : 'isNotNull'}(${operands[operand]})`,
  };
}

function equality(sign: '==' | '!='): readonly Overload[] {
  const wanted = sign === '==' ? 1 : 0;
  return [
    ofNumbers(sign, 'number'),
    ofStrings(sign),
    ofNumbers(sign, 'timestamp'),
    ofNumbers(sign, 'boolean'),
    { parameters: ['any', 'null'], ...nullTest(0, wanted) },
    { parameters: ['null', 'any'], ...nullTest(1, wanted) },
  ];
}

function ordered(sign: Sign): readonly Overload[] {
  return [ofNumbers(sign, 'number'), ofStrings(sign), ofNumbers(sign, 'timestamp')];
}

/** Comparisons: of like with like, null where either side is, but for `== null`, `!= null` and `has(x)`, which ask just that. */
export const comparison: Readonly<Record<string, readonly Overload[]>> = {
  '==': equality('=='),
  '!=': equality('!='),
  '<': ordered('<'),
  '<=': ordered('<='),
  '>': ordered('>'),
  '>=': ordered('>='),
  has: [{ parameters: ['any'], ...nullTest(0, 0) }],
};
