import { describe, expect, it } from 'vitest';
import { PlanDocument } from './plan-document.ts';

function problems(text: string): [number, number, string][] {
  return new PlanDocument('f.yaml', text).diagnostics.map(({ line, column, message }) => [line, column, message]);
}

describe('a plan document', () => {
  it('knows where each key and value stands', () => {
    const document = new PlanDocument('f.yaml', 'a: 1\nb:\n  - c: xy\n');
    expect(document.value).toEqual({ a: 1, b: [{ c: 'xy' }] });
    expect(document.atKey(['b', 0, 'c'], { code: 'VALUE_WRONG', message: '' })).toMatchObject({
      line: 3,
      column: 5,
      length: 1,
    });
    expect(document.atValue(['b', 0, 'c'], { code: 'VALUE_WRONG', message: '' })).toMatchObject({
      line: 3,
      column: 8,
      length: 2,
    });
  });

  it('points at the nearest thing around what is not there', () => {
    const document = new PlanDocument('f.yaml', 'a: 1\nb:\n  c: 2\n');
    expect(document.atKey(['b', 'x', 'y'], { code: 'VALUE_WRONG', message: '' })).toMatchObject({ line: 2, column: 1 });
  });

  it.each([
    ['plain', 'e: amount / avg\n', 12],
    ['quoted', 'e: "amount / avg"\n', 13],
    ['single-quoted', "e: 'amount / avg'\n", 13],
  ])('points into a %s text', (_, text, column) => {
    const document = new PlanDocument('f.yaml', text);
    const found = document.atPartOfValue(['e'], { start: 8, end: 11 }, { code: 'EXPRESSION_INVALID', message: '' });
    expect(found).toMatchObject({ line: 1, column: column + 0, length: 3 });
  });

  it('points at the whole text where escapes hide the part', () => {
    const document = new PlanDocument('f.yaml', 'e: "a\\u0020+ b"\n');
    const found = document.atPartOfValue(['e'], { start: 4, end: 5 }, { code: 'EXPRESSION_INVALID', message: '' });
    expect(found).toMatchObject({ line: 1, column: 4 });
  });

  it('points into a block of lines', () => {
    const document = new PlanDocument('f.yaml', 'e: |-\n  amount +\n  avg\n');
    const found = document.atPartOfValue(['e'], { start: 0, end: 6 }, { code: 'EXPRESSION_INVALID', message: '' });
    expect(found.line).toBe(1);
  });

  it('reports syntax errors with their places', () => {
    expect(problems('a: 1\na: 2\n')).toEqual([[2, 1, 'this key is here twice']]);
    expect(problems('a: "x\n')[0]?.[2]).toBe('missing closing "quote');
    expect(problems('a: 1\n---\nb: 2\n')[0]?.[2]).toContain('one document');
    expect(problems('a: !!js/function x\n')[0]?.[2]).toContain('tags');
  });

  it('refuses aliases that multiply, and aliases of nothing', () => {
    const many =
      'a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c]\n';
    expect(problems(many)[0]?.[2]).toContain('by alias at most');
    expect(problems('a: *nothing\n')[0]?.[2]).toContain('nothing');
  });

  it('refuses depth without end, and size', () => {
    expect(problems('['.repeat(100_000))[0]?.[2]).toBeDefined();
    expect(problems(`a: ${'x'.repeat(1_100_000)}`)[0]?.[2]).toContain('at most');
  });

  it('keeps a key named __proto__ as data', () => {
    const value = new PlanDocument('f.yaml', '__proto__: { polluted: true }\n').value as Record<string, unknown>;
    expect(Object.hasOwn(value, '__proto__')).toBe(true);
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
  });
});
