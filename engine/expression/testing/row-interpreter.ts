import { RE2JS } from 're2js';
import { parseDuration } from '../../time/duration.ts';
import type { SyntaxNode } from '../syntax.ts';

/** A row's value as JavaScript has it; instants are milliseconds. */
export type RowValue = number | string | boolean | null;

/**
 * The naive twin of the column loops: walks the tree for one row, with the meanings of `compile-expression.ts` spelled out one by one.
 * Slow and plain on purpose; tests compare the two over random expressions.
 */
export function interpretRow(node: SyntaxNode, row: Readonly<Record<string, RowValue>>): RowValue {
  switch (node.kind) {
    case 'literal':
      return node.value;
    case 'name':
      return row[node.name] ?? null;
    case 'list':
      throw new Error('a list is read by "in" only');
    case 'call':
      return interpretCall(node, row);
  }
}

function interpretCall(node: SyntaxNode & { kind: 'call' }, row: Readonly<Record<string, RowValue>>): RowValue {
  const at = (index: number): RowValue => {
    const argument = node.arguments[index];
    if (argument === undefined) throw new Error(`${node.name} has no argument ${index}`);
    return interpretRow(argument, row);
  };
  switch (node.name) {
    case '&&': {
      const [a, b] = [at(0), at(1)];
      return a === false || b === false ? false : a === null || b === null ? null : true;
    }
    case '||': {
      const [a, b] = [at(0), at(1)];
      return a === true || b === true ? true : a === null || b === null ? null : false;
    }
    case '?:': {
      const test = at(0);
      return test === null ? null : test === true ? at(1) : at(2);
    }
    case 'coalesce':
      return at(0) ?? at(1);
    case 'has':
      return at(0) !== null;
    case 'in': {
      const list = node.arguments[1];
      const tested = at(0);
      if (list?.kind !== 'list') throw new Error('"in" needs a list');
      return tested === null ? null : list.items.some((item) => interpretRow(item, row) === tested);
    }
    case '==':
    case '!=': {
      const sides = node.arguments.map((side) => side.kind === 'literal' && side.value === null);
      if (sides.includes(true)) {
        const tested = sides[0] === true ? at(1) : at(0);
        return (tested === null) === (node.name === '==');
      }
      break;
    }
    default:
  }
  const values = node.arguments.map((_, index) => at(index));
  if (values.includes(null)) return null;
  const result = strict(node.name, values);
  return typeof result === 'number' && !Number.isFinite(result) ? null : result;
}

/** Functions that give null for any null, over values that are none. */
function strict(name: string, values: readonly RowValue[]): RowValue {
  const [x, y] = values;
  const [a, b] = [Number(x), Number(y)];
  const [s, u] = [String(x), String(y)];
  const text = typeof x === 'string';
  const order = text ? Buffer.compare(Buffer.from(s), Buffer.from(u)) : a - b;
  switch (name) {
    case '+':
      return text ? s + u : a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '/':
      return a / b;
    case '%':
      return a % b;
    case 'negate':
      return -a;
    case '==':
      return x === y;
    case '!=':
      return x !== y;
    case '<':
      return order < 0;
    case '<=':
      return order <= 0;
    case '>':
      return order > 0;
    case '>=':
      return order >= 0;
    case '!':
      return x !== true;
    case 'abs':
      return Math.abs(a);
    case 'min':
      return a < b ? a : b;
    case 'max':
      return a > b ? a : b;
    case 'sqrt':
      return Math.sqrt(a);
    case 'log':
      return Math.log(a);
    case 'exp':
      return Math.exp(a);
    case 'pow':
      return Math.pow(a, b);
    case 'sin':
      return Math.sin(a);
    case 'cos':
      return Math.cos(a);
    case 'pi':
      return Math.PI;
    case 'floor':
      return Math.floor(a);
    case 'ceil':
      return Math.ceil(a);
    case 'round':
      return a < 0 ? -Math.round(-a) : Math.round(a);
    case 'toDouble':
    case 'double':
      return a;
    case 'toLong':
    case 'int':
      return Number.isSafeInteger(Math.trunc(a)) ? Math.trunc(a) : null;
    case 'hour':
      return new Date(a).getUTCHours();
    case 'dayOfWeek':
      return new Date(a).getUTCDay();
    case 'secondOfDay':
      return (a - new Date(a).setUTCHours(0, 0, 0, 0)) / 1000;
    case 'timestamp':
      return Date.parse(s);
    case 'duration':
      return parseDuration(s);
    case 'startsWith':
      return s.startsWith(u);
    case 'endsWith':
      return s.endsWith(u);
    case 'contains':
      return s.includes(u);
    case 'size':
      return Array.from(s).length;
    case 'part':
      return s.split(u)[Number(values[2])] ?? null;
    case 'occurrences':
      return s.split(u).length - 1;
    case 'matches':
      return RE2JS.compile(u).matcher(s).find();
    default:
      throw new Error(`the interpreter does not know ${name}`);
  }
}
