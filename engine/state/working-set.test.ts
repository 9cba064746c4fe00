import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { WorkingSet, type HeldKeys } from './working-set.ts';

/** Keys of one byte each, numbered by their slots. */
class NumberedKeys implements HeldKeys {
  readonly live = new Set<number>();
  readonly gone: number[] = [];

  get slotLimit(): number {
    return Math.max(-1, ...this.live) + 1;
  }

  get heldBytes(): number {
    return this.live.size;
  }

  isLive(slot: number): boolean {
    return this.live.has(slot);
  }

  letGo(slot: number): void {
    this.live.delete(slot);
    this.gone.push(slot);
  }
}

function holding(...slots: number[]): NumberedKeys {
  const keys = new NumberedKeys();
  for (const slot of slots) keys.live.add(slot);
  return keys;
}

describe('a working set', () => {
  it('lets nothing go while there is room, or without a bound', () => {
    const keys = holding(0, 1, 2);
    new WorkingSet(3).evict(keys);
    new WorkingSet(Infinity).evict(keys);
    expect(keys.gone).toEqual([]);
  });

  it('lets those go first that were not asked for since the hand last passed', () => {
    const keys = holding(0, 1, 2, 3);
    const set = new WorkingSet(3);
    for (const slot of [0, 1, 3]) set.touch(slot);
    set.evict(keys);
    expect(keys.gone).toEqual([2]);
    // All have been passed over once by now but the one that came back.
    keys.live.add(2);
    for (const slot of [0, 2]) set.touch(slot);
    set.evict(keys);
    expect(keys.gone).toHaveLength(2);
    expect([1, 3]).toContain(keys.gone[1]);
  });

  it('asks for a flush while only changed keys are left, and not again while one is on its way', () => {
    const keys = holding(0, 1);
    const set = new WorkingSet(1);
    for (const slot of keys.live) set.markChanged(slot);
    set.evict(keys);
    expect([keys.gone, set.needsFlush]).toEqual([[], true]);
    expect(set.takeChanged()).toEqual([0, 1]);
    set.evict(keys);
    expect([keys.gone, set.needsFlush]).toEqual([[], false]);
    set.stored();
    set.evict(keys);
    expect([keys.gone.length, set.needsFlush]).toEqual([1, false]);
  });

  it('never lets a key go whose last change is not in the store, whatever is flushed and stored in what order', () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('change' as const), slot: fc.nat(9) }),
      fc.record({ do: fc.constant('touch' as const), slot: fc.nat(9) }),
      fc.record({ do: fc.constant('delete' as const), slot: fc.nat(9) }),
      fc.record({ do: fc.constantFrom('take' as const, 'store' as const, 'evict' as const), slot: fc.constant(0) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), fc.nat(4), (steps, limit) => {
        const keys = holding();
        const set = new WorkingSet(limit);
        /** By key: what is not in the store yet. */
        const dirty = new Set<number>();
        const onTheirWay: Set<number>[] = [];
        let isStuck = false;
        for (const { do: what, slot } of steps) {
          if (what === 'take') {
            expect(new Set(set.takeChanged())).toEqual(dirty);
            onTheirWay.push(new Set(dirty));
            dirty.clear();
          } else if (what === 'store') {
            if (onTheirWay.shift() === undefined) continue;
            set.stored();
            isStuck = false;
          } else if (what === 'evict') {
            const before = keys.gone.length;
            set.evict(keys);
            for (const gone of keys.gone.slice(before)) {
              expect(dirty.has(gone)).toBe(false);
              expect(onTheirWay.some((flush) => flush.has(gone))).toBe(false);
            }
            const mayGo = [...keys.live].filter(
              (key) => !dirty.has(key) && !onTheirWay.some((flush) => flush.has(key)),
            );
            if (keys.live.size <= limit) continue;
            // It stops short of the bound only when nothing may go, or when that was so and no flush has come to the store since; then one is on its way, or asked for.
            if (mayGo.length > 0) expect(isStuck).toBe(true);
            expect(set.needsFlush).toBe(onTheirWay.length === 0);
            isStuck = true;
          } else if (what === 'delete') {
            keys.live.delete(slot);
            set.forget(slot);
            dirty.delete(slot);
            for (const flush of onTheirWay) flush.delete(slot);
          } else {
            keys.live.add(slot);
            set.touch(slot);
            if (what !== 'change') continue;
            set.markChanged(slot);
            dirty.add(slot);
          }
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
