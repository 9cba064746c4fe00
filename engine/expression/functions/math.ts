import type { FieldType } from '../../record/schema.ts';
import { binary, eachNumber, unary } from '../number-loops.ts';
import type { Overload } from '../overload.ts';
import type { TypedNode } from '../typed-node.ts';

/** Long where every argument is, double otherwise: for functions that give back one of their arguments. */
function widest(nodes: readonly TypedNode[]): FieldType {
  return nodes.every((node) => node.type === 'long') ? 'long' : 'double';
}

/** A function of one number that ClickHouse has under `sqlName`, and that may leave the finite numbers. */
function ofOne(compute: (value: number) => number, sqlName: string): readonly Overload[] {
  return [
    {
      parameters: ['number'],
      result: 'double',
      build: unary(eachNumber(compute), 'any'),
      sql: ([a]) => `finite(${sqlName}(${a}))`,
    },
  ];
}

/** Rounds halves away from zero, as CEL's math extension does and as people do; `Math.round` would send −2.5 to −2. */
function roundHalfAway(value: number): number {
  const magnitude = Math.abs(value);
  const whole = Math.floor(magnitude);
  return Math.sign(value) * (magnitude - whole >= 0.5 ? whole + 1 : whole);
}

const abs: Overload = {
  parameters: ['number'],
  result: widest,
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) out[row] = Math.abs(a[row] ?? 0);
  }, 'finite'),
  sql: ([a]) => `abs(${a})`,
};

const min: Overload = {
  parameters: ['number', 'number'],
  result: widest,
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = Math.min(a[row] ?? 0, b[row] ?? 0);
  }, 'finite'),
  sql: ([a, b]) => `smaller(${a}, ${b})`,
};

const max: Overload = {
  parameters: ['number', 'number'],
  result: widest,
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = Math.max(a[row] ?? 0, b[row] ?? 0);
  }, 'finite'),
  sql: ([a, b]) => `larger(${a}, ${b})`,
};

const pow: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) ** (b[row] ?? 0);
  }, 'any'),
  sql: ([a, b]) => `finite(pow(${a}, ${b}))`,
};

const pi: Overload = {
  parameters: [],
  result: 'double',
  build: () => (batch) => ({ kind: 'number', values: new Float64Array(batch.rowCount).fill(Math.PI), valid: null }),
  sql: () => 'pi()',
};

/** Functions of numbers. Null in, null out; out of a function's domain (`sqrt(-1)`, `log(0)`) is null. */
export const math: Readonly<Record<string, readonly Overload[]>> = {
  abs: [abs],
  min: [min],
  max: [max],
  pow: [pow],
  pi: [pi],
  sqrt: ofOne(Math.sqrt, 'sqrt'),
  log: ofOne(Math.log, 'log'),
  exp: ofOne(Math.exp, 'exp'),
  sin: ofOne(Math.sin, 'sin'),
  cos: ofOne(Math.cos, 'cos'),
  floor: ofOne(Math.floor, 'floor'),
  ceil: ofOne(Math.ceil, 'ceil'),
  round: ofOne(roundHalfAway, 'roundHalfAway'),
};
