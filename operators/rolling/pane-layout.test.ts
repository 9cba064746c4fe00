import { describe, expect, it } from 'vitest';
import { tilingProblem, type PanePart } from './pane-layout.ts';
import { paneAggregate, paneLayout } from './testing/pane-stores.ts';

const part = (column: number, count: number, more: Partial<PanePart> = {}): PanePart => ({
  column,
  count,
  sum: -1,
  squares: -1,
  minimum: -1,
  maximum: -1,
  first: -1,
  last: -1,
  ...more,
});

const sizeMs = 10;

describe('the columns of a pane', () => {
  it.each([
    ['count', part(0, 1), 2],
    ['sum', part(0, 1, { sum: 2 }), 8],
    ['avg', part(0, 1, { sum: 2 }), 8],
    ['stddev', part(0, 1, { sum: 2, squares: 8 }), 15],
    ['min', part(0, 1, { minimum: 2 }), 3],
    ['max', part(0, 1, { maximum: 2 }), 3],
    ['first', part(0, 1, { first: 2 }), 4],
    ['last', part(0, 1, { last: 2 }), 4],
    ['sinceLast', part(0, 1, { last: 2 }), 4],
  ] as const)('are those that %s needs', (name, wanted, columns) => {
    const layout = paneLayout({ sizeMs }, paneAggregate(name, 'amount'));
    expect(layout.parts).toEqual([part(-1, 0), wanted]);
    expect(layout.paneColumns).toBe(columns);
  });

  it('are each column’s own, behind each other, whatever windows they are for', () => {
    const layout = paneLayout(
      { sizeMs },
      paneAggregate('sinceLast', null),
      paneAggregate('min', 'amount'),
      paneAggregate('last', 'fee', { delayMs: 5 }),
      paneAggregate('avg', 'fee'),
      paneAggregate('max', 'fee', { where: 'flagged' }),
      paneAggregate('max', 'amount', { overMs: 50, current: 'include' }),
    );
    expect(layout.parts).toEqual([
      part(-1, 0, { last: 1 }),
      part(0, 3, { minimum: 4, maximum: 5 }),
      part(1, 6, { sum: 7, last: 13 }),
      part(2, 15, { maximum: 16 }),
    ]);
    expect(layout.paneColumns).toBe(17);
    expect(layout.rolling.columns.map(({ input, where }) => [input, where])).toEqual([
      ['amount', null],
      ['fee', null],
      ['fee', 'flagged'],
    ]);
  });

  it('take as much memory as so many rows, which are kept instead', () => {
    const looseRows = (...aggregates: Parameters<typeof paneAggregate>[]): number =>
      paneLayout({ sizeMs }, ...aggregates.map((each) => paneAggregate(...each))).looseRows;
    expect(looseRows(['count', null])).toBe(2);
    expect(looseRows(['sinceLast', null])).toBe(4);
    expect(looseRows(['count', 'amount'])).toBe(1);
    expect(looseRows(['count', 'amount'], ['count', 'fee'])).toBe(1);
    expect(looseRows(['sum', 'amount'])).toBe(4);
    expect(looseRows(['stddev', 'amount'], ['sum', 'fee'])).toBe(7);
  });
});

describe('records one by one', () => {
  it('are kept for the longest delay and the allowed lateness', () => {
    const looseMs = (...delaysMs: readonly number[]): number =>
      paneLayout({ sizeMs }, ...delaysMs.map((delayMs) => paneAggregate('count', null, { delayMs }))).looseMs;
    expect([looseMs(0), looseMs(7), looseMs(0, 9, 4)]).toEqual([3, 10, 12]);
  });
});

describe('what panes cannot answer', () => {
  it.each([
    ['count', null, null],
    ['sinceLast', null, null],
    ['sum', 'double', null],
    ['avg', 'double', null],
    ['min', 'long', null],
    ['max', 'double', null],
    ['stddev', 'double', null],
    ['first', 'double', null],
    ['last', 'long', null],
    ['first', 'string', 'of texts needs each of them'],
    ['last', 'string', 'of texts needs each of them'],
    ['distinct', 'double', 'needs each value'],
    ['lastN', 'double', 'needs each of the newest records'],
    ['decayedSum', 'double', 'needs the age of each record'],
  ] as const)('is told by the function and by what it takes: %s of %s', (name, inputType, problem) => {
    expect(tilingProblem(name, inputType)).toBe(problem);
  });
});
