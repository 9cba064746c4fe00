import { describe, expect, it } from 'vitest';
import { utf8ColumnOf, valueAt } from '../../record/column.ts';
import { recordBatch } from '../../record/record-batch.ts';
import { Schema } from '../../record/schema.ts';
import { tryCompileExpression } from '../compile-expression.ts';

const schema = new Schema([{ name: 'url', type: 'string', presence: 'optional' }]);

function valuesOf(text: string, urls: readonly (string | null)[]): unknown[] {
  const outcome = tryCompileExpression(text, schema);
  if (outcome.problems !== null) throw new RangeError(JSON.stringify(outcome.problems));
  const position = { partition: 0, offset: 0, eventTimesMs: new Float64Array(urls.length) };
  const column = outcome.expression.evaluate(recordBatch(schema, [utf8ColumnOf(urls)], position));
  return urls.map((_, row) => valueAt(column, row));
}

const problemOf = (text: string): string => tryCompileExpression(text, schema).problems?.[0]?.message ?? '';

describe('a part of a text', () => {
  it('is what lies between two separators, and empty where they touch', () => {
    const urls = ['https://a.example/é/b', '/', '', null, 'no separator'];
    expect(valuesOf('part(url, "/", 0)', urls)).toEqual(['https:', '', '', null, 'no separator']);
    expect(valuesOf('part(url, "/", 1)', urls)).toEqual(['', '', null, null, null]);
    expect(valuesOf('part(url, "/", 3)', urls)).toEqual(['é', null, null, null, null]);
    expect(valuesOf('part(part(url, "//", 1), "/", 2)', urls)).toEqual(['b', null, null, null, null]);
  });

  it('is asked for by a number that is known, and by a separator that is not empty', () => {
    expect(problemOf('part(url, "/", size(url))')).toContain('must be known at plan time');
    expect(problemOf('part(url, "/", 1.5)')).toContain('a whole number');
    expect(problemOf('part(url, "", 1)')).toBe('the text is empty');
  });
});

describe('the occurrences of a text', () => {
  it('do not overlap, and are none in an empty text', () => {
    expect(valuesOf('occurrences(url, "aa")', ['aaaa', 'aaa', 'baab', '', null])).toEqual([2, 1, 1, 0, null]);
    expect(valuesOf('occurrences(url, "é")', ['éé', 'e'])).toEqual([2, 0]);
    expect(problemOf('occurrences(url, "")')).toBe('the text is empty');
  });
});
