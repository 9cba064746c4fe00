import { binary, unary } from '../number-loops.ts';
import type { Overload } from '../overload.ts';

/**
 * `+ − × ÷` and remainder. Numbers are one type: `1 / 2` is a half, and the result is a double. A result that is not finite is null, so
 * `x / 0`, `0 / 0` and `x % 0` are.
 */
const add: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) + (b[row] ?? 0);
  }, 'any'),
  sql: ([a, b]) => `finite(${a} + ${b})`,
};

const subtractLoop = binary((a, b, out) => {
  for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) - (b[row] ?? 0);
}, 'any');

const subtract: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: subtractLoop,
  sql: ([a, b]) => `finite(${a} - ${b})`,
};

/** The milliseconds from one instant to another. */
const between: Overload = { ...subtract, parameters: ['timestamp', 'timestamp'] };

const multiply: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) * (b[row] ?? 0);
  }, 'any'),
  sql: ([a, b]) => `finite(${a} * ${b})`,
};

const divide: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) / (b[row] ?? 0);
  }, 'any'),
  sql: ([a, b]) => `finite(${a} / ${b})`,
};

const remainder: Overload = {
  parameters: ['number', 'number'],
  result: 'double',
  build: binary((a, b, out) => {
    for (let row = 0; row < out.length; row++) out[row] = (a[row] ?? 0) % (b[row] ?? 0);
  }, 'any'),
  sql: ([a, b]) => `finite(${a} % ${b})`,
};

const negate: Overload = {
  parameters: ['number'],
  result: (nodes) => (nodes[0]?.type === 'long' ? 'long' : 'double'),
  build: unary((a, out) => {
    for (let row = 0; row < out.length; row++) out[row] = -(a[row] ?? 0);
  }, 'finite'),
  sql: ([a]) => `-(${a})`,
};

/** The arithmetic operators, by sign. */
export const arithmetic: Readonly<Record<string, readonly Overload[]>> = {
  '-': [subtract, between],
  '*': [multiply],
  '/': [divide],
  '%': [remainder],
  negate: [negate],
};

/** `+` over numbers; strings have their own. */
export const addNumbers: Overload = add;
