import { numberColumn } from '../../record/column.ts';
import { bothValid, unary } from '../number-loops.ts';
import { argument, type Overload, type ParameterKind } from '../overload.ts';
import { numbersOf } from '../typed-node.ts';

/** The value as a double: true is 1, an instant its milliseconds. */
function toDouble(kind: ParameterKind): Overload {
  return {
    parameters: [kind],
    result: 'double',
    build: (nodes) => argument(nodes, 0).evaluate,
    sql: ([a]) => `toFloat64(${a})`,
  };
}

/** Without its fraction, toward zero; null past 2^53, where a double no longer holds each whole number. */
const toLong: Overload = {
  parameters: ['number'],
  result: 'long',
  build: (nodes) => {
    const first = argument(nodes, 0);
    return (batch) => {
      const { values, valid } = numbersOf(first, batch);
      const out = new Float64Array(batch.rowCount);
      const exact = new Uint8Array(batch.rowCount);
      for (let row = 0; row < out.length; row++) {
        const whole = Math.trunc(values[row] ?? 0);
        out[row] = whole;
        exact[row] = Number.isSafeInteger(whole) ? 1 : 0;
      }
      return numberColumn(out, bothValid(exact, valid));
    };
  },
  sql: ([a]) => `whole(${a})`,
};

const longOfBoolean: Overload = {
  parameters: ['boolean'],
  result: 'long',
  build: unary((a, out) => out.set(a), 'finite'),
  sql: ([a]) => `toFloat64(${a})`,
};

const doubles = [toDouble('number'), toDouble('boolean'), toDouble('timestamp')];

/** From one numeric type to another. `double` and `int` are CEL's names. */
export const conversion: Readonly<Record<string, readonly Overload[]>> = {
  double: doubles,
  toDouble: doubles,
  int: [toLong, longOfBoolean],
  toLong: [toLong, longOfBoolean],
};
