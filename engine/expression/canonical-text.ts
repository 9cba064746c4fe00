import type { SyntaxNode } from './syntax.ts';

const infix = new Set(['||', '&&', '==', '!=', '<', '<=', '>', '>=', 'in', '+', '-', '*', '/', '%']);

/**
 * An expression written in the one way that does not depend on how its author spaced, quoted or bracketed it. Digests and the names of
 * anonymous columns are made of it, so it must never change for the same tree: ours, rather than a library's.
 */
export function canonicalText(root: SyntaxNode): string {
  return write(root, 'top');
}

function write(node: SyntaxNode, place: 'top' | 'operand'): string {
  switch (node.kind) {
    case 'literal':
      return node.type === 'string' ? JSON.stringify(node.value) : String(node.value);
    case 'name':
      return node.name;
    case 'list':
      return `[${node.items.map((item) => write(item, 'top')).join(', ')}]`;
    case 'call': {
      const operands = node.arguments.map((argument) => write(argument, isOperator(node.name) ? 'operand' : 'top'));
      const [first = '', second = '', third = ''] = operands;
      if (!isOperator(node.name)) return `${node.name}(${operands.join(', ')})`;
      if (node.name === '!') return `!${first}`;
      if (node.name === 'negate') return `-${first}`;
      const text = node.name === '?:' ? `${first} ? ${second} : ${third}` : `${first} ${node.name} ${second}`;
      return place === 'top' ? text : `(${text})`;
    }
  }
}

function isOperator(name: string): boolean {
  return infix.has(name) || name === '?:' || name === '!' || name === 'negate';
}
