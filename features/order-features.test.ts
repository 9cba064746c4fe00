import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { orderByNeed } from './order-features.ts';

const item = (name: string, ...needs: string[]): { name: string; needs: string[] } => ({ name, needs });
const names = (items: readonly { name: string }[]): string => items.map(({ name }) => name).join(' ');

describe('orderByNeed', () => {
  it('puts each after what it needs, and otherwise keeps the order', () => {
    expect(names(orderByNeed([item('c', 'a'), item('b'), item('a', 'amount')]).ordered)).toBe('a c b');
  });

  it('tells a circle from its first item on, and leaves out who needs it', () => {
    const { ordered, cycles } = orderByNeed([
      item('x', 'a'),
      item('a', 'b'),
      item('b', 'c'),
      item('c', 'a'),
      item('y'),
    ]);
    expect(cycles.map(names)).toEqual(['a b c']);
    expect(names(ordered)).toBe('y');
  });

  it('tells of a thing that needs itself', () => {
    expect(orderByNeed([item('a', 'a')]).cycles.map(names)).toEqual(['a']);
  });

  it('orders every graph without circles', () => {
    const graph = fc
      .array(fc.array(fc.nat({ max: 30 }), { maxLength: 4 }), { maxLength: 30 })
      .map((needs) => needs.map((to, index) => item(String(index), ...to.filter((n) => n < index).map(String))));
    fc.assert(
      fc.property(graph, fc.infiniteStream(fc.nat()), (items, chance) => {
        const shuffled = items
          .map((value) => ({ value, rank: Number(chance.next().value) }))
          .toSorted((a, b) => a.rank - b.rank)
          .map(({ value }) => value);
        const { ordered, cycles } = orderByNeed(shuffled);
        expect(cycles).toEqual([]);
        const place = new Map(ordered.map(({ name }, index) => [name, index]));
        expect(place.size).toBe(items.length);
        for (const { name, needs } of ordered) {
          for (const needed of needs) expect(place.get(needed)).toBeLessThan(place.get(name) ?? -1);
        }
      }),
    );
  });
});
