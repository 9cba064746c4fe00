import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Polled, Source } from '../source/source.ts';
import { MemoryBroker } from '../testing/memory-broker.ts';
import type { Clock } from '../time/clock.ts';
import { PacedReader, type Pace } from './paced-reader.ts';
import { splitByLag } from './split-by-lag.ts';

/** A clock that moves only when somebody sleeps on it. */
class SleepClock implements Clock {
  timeMs = 1_000_003;
  nowMs(): number {
    return this.timeMs;
  }
  monotonicMs(): number {
    return this.timeMs;
  }
  sleep(durationMs: number): Promise<void> {
    this.timeMs += durationMs;
    return Promise.resolve();
  }
}

interface Reading {
  readonly atMs: number;
  readonly partition: number;
  readonly offset: number;
}

async function readAll(counts: readonly number[], pace: Pace): Promise<{ readings: Reading[]; total: number }> {
  const broker = new MemoryBroker();
  broker.createTopic('in', counts.length);
  counts.forEach((count, partition) => {
    for (let i = 0; i < count; i++) broker.append('in', partition, { key: '', value: `${i}`, timestampMs: 0 });
  });
  const source: Source = broker.source('in');
  const clock = new SleepClock();
  const starts = new Map(counts.map((_, partition) => [partition, 0]));
  await source.seek([...starts].map(([partition, offset]) => ({ partition, offset })));
  const reader = new PacedReader(source, pace, clock, starts);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const readings: Reading[] = [];
  for (let polls = 0; readings.length < total && polls < 10_000; polls++) {
    const polled: Polled | null | 'end' = await reader.poll({ maxRecords: 7, maxWaitMs: 1 });
    if (polled === null || polled === 'end' || polled.kind !== 'messages') continue;
    const { partitions, offsets, messageCount } = polled.messages;
    for (let i = 0; i < messageCount; i++) {
      readings.push({ atMs: clock.timeMs, partition: partitions[i] ?? -1, offset: offsets[i] ?? -1 });
    }
  }
  return { readings, total };
}

function groupBy(readings: readonly Reading[], keyOf: (reading: Reading) => number): ReadonlyMap<number, Reading[]> {
  const groups = new Map<number, Reading[]>();
  for (const reading of readings) groups.set(keyOf(reading), [...(groups.get(keyOf(reading)) ?? []), reading]);
  return groups;
}

describe('a paced reader', () => {
  it('reads every record once, in the order of its partition, and in no round more than the limit', async () => {
    const counts = fc.array(fc.nat(40), { minLength: 1, maxLength: 4 });
    await fc.assert(
      fc.asyncProperty(
        counts,
        fc.integer({ min: 4, max: 30 }),
        fc.constantFrom(0, 10),
        async (lengths, limit, everyMs) => {
          const { readings, total } = await readAll(lengths, { everyMs, maxOffsetsPerTrigger: limit });
          expect(readings).toHaveLength(total);
          lengths.forEach((length, partition) => {
            const offsets = readings.filter((reading) => reading.partition === partition).map(({ offset }) => offset);
            expect(offsets).toEqual(Array.from({ length }, (_, i) => i));
          });
          if (everyMs === 0) return;
          const byRound = groupBy(readings, ({ atMs }) => Math.floor(atMs / everyMs));
          for (const round of byRound.values()) expect(round.length).toBeLessThanOrEqual(limit);
        },
      ),
      { numRuns: 100 },
    );
  });

  it('begins rounds at multiples of the interval, each with what is there then', async () => {
    const { readings } = await readAll([25], { everyMs: 100, maxOffsetsPerTrigger: 10 });
    const rounds = [...groupBy(readings, ({ atMs }) => atMs)].map(([atMs, round]) => [atMs % 100, round.length]);
    // The first begins at once; the others when the clock stands at a multiple.
    expect(rounds).toEqual([
      [3, 10],
      [0, 10],
      [0, 5],
    ]);
  });
});

describe('a limit that is split by lag', () => {
  it('gives each partition a share in proportion to what it has left', () => {
    const lags = [
      { partition: 0, records: 900 },
      { partition: 1, records: 90 },
      { partition: 2, records: 10 },
      { partition: 3, records: 0 },
    ];
    expect(splitByLag(lags, 100)).toEqual([
      { partition: 0, records: 90 },
      { partition: 1, records: 9 },
      { partition: 2, records: 1 },
    ]);
  });

  it('is used up and never exceeded, unless there are more partitions than it, and no partition is given more than it has', () => {
    const lag = fc.array(fc.nat(1_000), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(lag, fc.integer({ min: 1, max: 2_000 }), (records, limit) => {
        const shares = splitByLag(
          records.map((count, partition) => ({ partition, records: count })),
          limit,
        );
        const given = shares.reduce((sum, share) => sum + share.records, 0);
        const total = records.reduce((sum, count) => sum + count, 0);
        for (const share of shares) expect(share.records).toBeLessThanOrEqual(records[share.partition] ?? 0);
        expect(given).toBe(Math.max(Math.min(limit, total), shares.length));
        expect(shares).toHaveLength(records.filter((count) => count > 0).length);
      }),
    );
  });
});
