import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BinaryHeap } from './binary-heap.ts';

interface Numbered {
  readonly rank: number;
}

const numbered = (rank: number): Numbered => ({ rank });
const byRank = (a: Numbered, b: Numbered): number => a.rank - b.rank;

function emptied(heap: BinaryHeap<Numbered>): number[] {
  const ranks: number[] = [];
  for (let taken = heap.take(); taken !== undefined; taken = heap.take()) ranks.push(taken.rank);
  return ranks;
}

describe('a binary heap', () => {
  it('gives what a sorted list of it would, whatever goes in and comes out between', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.integer({ min: 0, max: 20 }), { freq: 2 }), { maxLength: 60 }), (steps) => {
        const heap = new BinaryHeap(byRank);
        const list: number[] = [];
        for (const step of steps) {
          if (step === null) {
            expect(heap.take()?.rank).toBe(list.shift());
          } else {
            heap.add(numbered(step));
            list.push(step);
            list.sort((a, b) => a - b);
          }
          expect(heap.first?.rank).toBe(list[0]);
        }
        expect(emptied(heap)).toEqual(list);
      }),
      { numRuns: 1_000 },
    );
  });

  it('gives the very things that were put in, each once', () => {
    const things = [3, 1, 2, 1].map(numbered);
    const heap = new BinaryHeap(byRank);
    for (const thing of things) heap.add(thing);
    const taken = things.map(() => heap.take());
    expect(new Set(taken)).toEqual(new Set(things));
    expect([heap.take(), heap.first]).toEqual([undefined, undefined]);
  });

  it('asks for as few comparisons as its depth', () => {
    let asked = 0;
    const heap = new BinaryHeap<Numbered>((a, b) => {
      asked++;
      return byRank(a, b);
    });
    for (let rank = 1_023; rank > 0; rank--) heap.add(numbered(rank));
    // Ten levels: each that goes in rises to the top.
    expect(asked).toBeLessThanOrEqual(1_023 * 9);
    asked = 0;
    expect(heap.take()?.rank).toBe(1);
    expect(asked).toBeLessThanOrEqual(2 * 9);
  });
});
