import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cardPrecision, dailyPrecisions } from './card-precision.ts';

/** `[day, card, score, label]` a row. */
function scored(rows: readonly (readonly [number, number, number, number])[]) {
  return {
    days: Int32Array.from(rows, ([day]) => day),
    cards: Uint32Array.from(rows, ([, card]) => card),
    scores: rows.map(([, , score]) => score),
    labels: rows.map(([, , , label]) => label),
  };
}

describe('cardPrecision', () => {
  it('looks at the k cards with the highest score of the day, by their highest score', () => {
    const rows = scored([
      [1, 10, 0.9, 0],
      [1, 11, 0.2, 1],
      [1, 11, 0.8, 0],
      [1, 12, 0.7, 1],
    ]);
    // Cards 10 and 11 are looked at; 11 had a fraud that day, though in another transaction than the one that brought it up.
    expect(cardPrecision(rows, 2)).toBe(0.5);
  });

  it('takes a card that was found out from the pool of later days, and leaves one that was missed', () => {
    const rows = scored([
      [1, 10, 0.9, 1],
      [1, 11, 0.8, 1],
      [2, 10, 0.9, 1],
      [2, 11, 0.8, 1],
      [3, 11, 0.8, 1],
    ]);
    expect(dailyPrecisions(rows, 1)).toEqual([1, 1, 0]);
  });

  it('keeps a card in the pool that was looked at on a day without a fraud of its own', () => {
    expect(
      dailyPrecisions(
        scored([
          [1, 10, 0.9, 0],
          [2, 10, 0.9, 1],
        ]),
        1,
      ),
    ).toEqual([0, 1]);
  });

  it('divides by k also where fewer cards were seen', () => {
    expect(cardPrecision(scored([[1, 10, 0.9, 1]]), 100)).toBe(0.01);
  });

  it('equals a twin that scans every row for every day', () => {
    const row = fc.tuple(
      fc.integer({ min: 1, max: 4 }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer({ min: 0, max: 5 }),
      fc.integer({ min: 0, max: 1 }),
    );
    fc.assert(
      fc.property(fc.array(row, { minLength: 1, maxLength: 60 }), fc.integer({ min: 1, max: 5 }), (rows, k) => {
        const blocked: number[] = [];
        const days = [...new Set(rows.map(([day]) => day))].sort((a, b) => a - b);
        const expected = days.map((today) => {
          const pool = rows.filter(([day, card]) => day === today && !blocked.includes(card));
          const cards = [...new Set(pool.map(([, card]) => card))].map((card) => {
            const own = pool.filter(([, other]) => other === card);
            return {
              card,
              score: Math.max(...own.map(([, , score]) => score)),
              fraud: own.some(([, , , label]) => label === 1),
            };
          });
          cards.sort((a, b) => b.score - a.score || a.card - b.card);
          const found = cards.slice(0, k).filter(({ fraud }) => fraud);
          blocked.push(...found.map(({ card }) => card));
          return found.length / k;
        });
        expect(dailyPrecisions(scored(rows), k)).toEqual(expected);
      }),
    );
  });
});
