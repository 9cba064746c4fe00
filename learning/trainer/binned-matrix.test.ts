import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { binMatrix, missingCode } from './binned-matrix.ts';
import { randomMatrix } from '../testing/random-matrix.ts';
import { SeededRandom } from './seeded-random.ts';

describe('binMatrix', () => {
  it('numbers each value by the cuts that are less than it, and marks missing ones', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 2, max: 255 }),
        (seed, featureCount, maxBins) => {
          const matrix = randomMatrix({ rowCount: 300, featureCount, seed });
          const binned = binMatrix(matrix, maxBins, new SeededRandom(seed));
          matrix.columns.forEach((column, feature) => {
            const cuts = [...(binned.cuts[feature] ?? [])];
            expect(cuts.length).toBeLessThan(maxBins);
            const expected = Array.from(column, (value) =>
              Number.isNaN(value) ? missingCode : cuts.filter((cut) => cut < value).length,
            );
            expect([...(binned.codeColumns[feature] ?? [])]).toEqual(expected);
            expect(binned.hasMissing[feature]).toBe(expected.includes(missingCode) ? 1 : 0);
          });
        },
      ),
      { numRuns: 50 },
    );
  });

  it('packs the same codes by row, four features to a word', () => {
    const matrix = randomMatrix({ rowCount: 200, featureCount: 6, seed: 1 });
    const { codes, codeColumns, wordsPerRow } = binMatrix(matrix, 255, new SeededRandom(0));
    expect(wordsPerRow).toBe(2);
    const bytes = new Uint8Array(codes.buffer);
    codeColumns.forEach((column, feature) => {
      column.forEach((code, row) => expect(bytes[row * 8 + feature]).toBe(code));
    });
  });

  it('cuts by a sample where there are very many rows', () => {
    const rowCount = 600_000;
    const column = Float32Array.from({ length: rowCount }, (_, row) => row);
    const labels = Uint8Array.from({ length: rowCount }, (_, row) => (row % 200 === 0 ? 1 : 0));
    const matrix = { rowCount, featureNames: ['a'], columns: [column], labels };
    const { codeColumns } = binMatrix(matrix, 255, new SeededRandom(7));
    const counts = new Uint32Array(255);
    for (const code of codeColumns[0] ?? []) counts[code] = (counts[code] ?? 0) + 1;
    expect(Math.max(...counts)).toBeLessThan(4 * (rowCount / 255));
  });
});
