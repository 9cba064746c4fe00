import { describe, expect, it } from 'vitest';
import { IdlePartitions, type IdleInput, type PartitionProgress } from './idle-partitions.ts';

const stays: IdleInput = { timeoutMs: 100, watermark: 'stays' };
const goesOn: IdleInput = { timeoutMs: 100, watermark: 'goes on' };

/** Partitions 0, 1, … that have had records and are read to their end. */
function read(count: number, change: Partial<PartitionProgress> = {}): PartitionProgress[] {
  return Array.from({ length: count }, (_, partition) => ({ partition, isAtEnd: true, isHeard: true, ...change }));
}

describe('idle partitions', () => {
  it('are those that have been read to their end and have brought nothing for the timeout', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0, 1], 0);
    idle.heard(1, 60);
    expect(idle.isDue(99)).toBe(false);
    expect(idle.find(read(2), 100)).toEqual([{ partition: 0, idleForMs: 0 }]);
    expect([idle.count, idle.has(0), idle.has(1)]).toEqual([1, true, false]);
    expect(idle.isDue(159)).toBe(false);
    expect(idle.find(read(2), 160)).toEqual([{ partition: 1, idleForMs: 0 }]);
    expect(idle.isDue(1e9)).toBe(false);
  });

  it('are none as long as something is to be read, however long reading it takes', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0, 1], 0);
    idle.heard(1, 9_999);
    const progress = read(2, { isAtEnd: false });
    expect(idle.find(progress, 500)).toEqual([]);
    expect(idle.isDue(600)).toBe(false);
    expect(idle.find(read(2), 10_000)).toEqual([{ partition: 0, idleForMs: 0 }]);
  });

  it('are heard from again, and then idle again', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0, 1], 0);
    expect(idle.find(read(2), 100)).toHaveLength(2);
    idle.heard(0, 150);
    expect([idle.count, idle.isDue(249), idle.isDue(250)]).toEqual([1, false, true]);
    expect(idle.find(read(2), 260)).toEqual([{ partition: 0, idleForMs: 0 }]);
  });

  it('are of no matter where there is but one', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0], 0);
    expect(idle.find(read(1), 100)).toEqual([]);
    expect(idle.count).toBe(1);
  });

  it('go on by the clock, a step each timeout, where the job says so', () => {
    const idle = new IdlePartitions({ inputs: [goesOn] }, [0], 0);
    idle.heard(0, 5.5);
    expect(idle.find(read(1), 120)).toEqual([{ partition: 0, idleForMs: 114 }]);
    expect(idle.isDue(219)).toBe(false);
    expect(idle.find(read(1), 220)).toEqual([{ partition: 0, idleForMs: 214 }]);
  });

  it('are each told of where others wait for them, once or for as long as nothing comes, had they records or not', () => {
    const silent = read(1, { isHeard: false });
    const once = new IdlePartitions({ inputs: [stays], heardBy: 'next stage' }, [0], 0);
    expect(once.find(silent, 99)).toEqual([]);
    expect(once.find(silent, 100)).toEqual([{ partition: 0, idleForMs: 0 }]);
    expect(once.isDue(1e9)).toBe(false);
    once.heard(0, 2e9);
    expect(once.find(read(1), 2e9 + 100)).toEqual([{ partition: 0, idleForMs: 0 }]);
    const again = new IdlePartitions({ inputs: [stays], heardBy: 'later stages' }, [0], 0);
    expect([again.find(silent, 100), again.isDue(199), again.find(silent, 200)]).toEqual([
      [{ partition: 0, idleForMs: 0 }],
      false,
      [{ partition: 0, idleForMs: 0 }],
    ]);
    expect(again.find(read(1, { isAtEnd: false }), 300)).toEqual([]);
    const onward = new IdlePartitions({ inputs: [goesOn], heardBy: 'next stage' }, [0], 0);
    // There is no watermark yet that could go on.
    expect([onward.find(silent, 100), onward.isDue(1e9)]).toEqual([[{ partition: 0, idleForMs: 0 }], false]);
    onward.heard(0, 1_000);
    expect(onward.find(read(1), 1_100)).toEqual([{ partition: 0, idleForMs: 100 }]);
    expect(onward.find(read(1), 1_200)).toEqual([{ partition: 0, idleForMs: 200 }]);
  });

  it('are not spoken of where they never had a record and others of their input did', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0, 1], 0);
    const progress = [
      { partition: 0, isAtEnd: true, isHeard: false },
      { partition: 1, isAtEnd: true, isHeard: true },
    ];
    expect(idle.find(progress, 100)).toEqual([{ partition: 1, idleForMs: 0 }]);
    expect(idle.count).toBe(2);
  });

  it('are an input that never had a record, all of it together', () => {
    // Partitions 0 and 2 are of input 0, partitions 1 and 3 of input 1.
    const idle = new IdlePartitions({ inputs: [goesOn, stays] }, [0, 1, 2, 3], 0);
    idle.heard(0, 40);
    const progress = read(4, { isHeard: false });
    progress[1] = { partition: 1, isAtEnd: true, isHeard: true };
    expect(idle.find(progress, 100)).toEqual([{ partition: 1, idleForMs: 0 }]);
    expect(idle.find(progress, 140)).toEqual([
      { partition: 0, idleForMs: 0 },
      { partition: 2, idleForMs: 0 },
    ]);
    expect(idle.isDue(1e9)).toBe(false);
  });

  it('wait for partitions of their input that have something to read and were never heard from', () => {
    const idle = new IdlePartitions({ inputs: [stays] }, [0, 1], 0);
    const progress = [
      { partition: 0, isAtEnd: true, isHeard: true },
      { partition: 1, isAtEnd: false, isHeard: false },
    ];
    expect(idle.find(progress, 500)).toEqual([]);
    expect(idle.find(read(2), 2_000)).toHaveLength(2);
  });

  it('are none of an input that holds nothing back', () => {
    const idle = new IdlePartitions({ inputs: [null, stays] }, [0, 1], 0);
    expect(idle.find(read(2), 100)).toEqual([{ partition: 1, idleForMs: 0 }]);
    expect(idle.has(0)).toBe(false);
  });
});
