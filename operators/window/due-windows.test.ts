import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DueWindows } from './due-windows.ts';
import type { OpenWindow } from './open-window.ts';

function windowDueAt(dueMs: number): OpenWindow {
  const key = { slot: 0, bytes: new Uint8Array(0), values: [], windows: [] };
  return {
    key,
    scope: 0,
    startMs: 0,
    endMs: 0,
    records: 0,
    states: [],
    phase: 'open',
    dueMs,
    queuedMs: Infinity,
    isLive: true,
  };
}

const timesOf = (windows: readonly OpenWindow[]): number[] => windows.map(({ dueMs }) => dueMs).sort((a, b) => a - b);

describe('the windows that are due', () => {
  it('come out at their time and not before, whatever the order in which they were put in', () => {
    const times = fc.array(fc.integer({ min: -20, max: 20 }), { maxLength: 40 });
    const turns = fc.array(fc.tuple(times, fc.integer({ min: -25, max: 25 })), { maxLength: 8 });
    fc.assert(
      fc.property(turns, (all) => {
        const queue = new DueWindows();
        let waiting: number[] = [];
        for (const [added, watermarkMs] of all) {
          for (const time of added) queue.add(windowDueAt(time));
          waiting.push(...added);
          expect(queue.nextMs).toBe(Math.min(Infinity, ...waiting));
          expect(timesOf(queue.take(watermarkMs))).toEqual(
            waiting.filter((time) => time <= watermarkMs).sort((a, b) => a - b),
          );
          waiting = waiting.filter((time) => time > watermarkMs);
          expect(queue.nextMs).toBe(Math.min(Infinity, ...waiting));
        }
      }),
      { numRuns: 1_000 },
    );
  });

  it('say where they stand', () => {
    const queue = new DueWindows();
    const window = windowDueAt(7);
    queue.add(window);
    expect(window.queuedMs).toBe(7);
    expect(queue.take(6.9)).toEqual([]);
    expect(queue.take(7)).toEqual([window]);
    expect(queue.take(7)).toEqual([]);
  });

  it('stay out for ever where they are never due', () => {
    const queue = new DueWindows();
    const window = windowDueAt(Infinity);
    queue.add(window);
    expect(window.queuedMs).toBe(Infinity);
    expect(queue.nextMs).toBe(Infinity);
    expect(queue.take(Infinity)).toEqual([]);
  });

  it('are put back when their turn comes and their time has moved on', () => {
    const queue = new DueWindows();
    const [moved, other] = [windowDueAt(5), windowDueAt(5)];
    for (const window of [moved, other]) queue.add(window);
    moved.dueMs = 9;
    expect(queue.take(8)).toEqual([other]);
    expect([queue.nextMs, moved.queuedMs]).toEqual([9, 9]);
    expect(queue.take(9)).toEqual([moved]);
  });

  it('are forgotten where they are over, or stand elsewhere by now', () => {
    const queue = new DueWindows();
    const [over, elsewhere] = [windowDueAt(5), windowDueAt(5)];
    for (const window of [over, elsewhere]) queue.add(window);
    over.isLive = false;
    elsewhere.queuedMs = 6;
    expect(queue.take(10)).toEqual([]);
    expect(queue.nextMs).toBe(Infinity);
  });
});
