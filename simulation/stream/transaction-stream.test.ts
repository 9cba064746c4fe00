import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../../engine/error.ts';
import { defaultStreamOptions, type StreamOptions } from './stream-options.ts';
import { fraudScenarios } from './purchase-flow.ts';
import { transactionStream } from './transaction-stream.ts';

interface Row {
  readonly sequence: number;
  readonly eventTimeMs: number;
  readonly arrivalMs: number;
  readonly card: number;
  readonly terminal: number;
  readonly amount: number;
  readonly scenario: number;
  readonly defect: number;
}

const smallWorld: Partial<StreamOptions> = { customers: 200, terminals: 400, seed: 7 };
const dayMs = 86_400_000;
const { startMs } = defaultStreamOptions;

/** The first rows of a stream, at least `count`. */
function take(count: number, options: Partial<StreamOptions>): Row[] {
  const rows: Row[] = [];
  const stream = transactionStream(options);
  while (rows.length < count) {
    const chunk = stream.next().value;
    for (let row = 0; row < chunk.rowCount; row++) {
      rows.push({
        sequence: chunk.sequence[row] ?? NaN,
        eventTimeMs: chunk.eventTimeMs[row] ?? NaN,
        arrivalMs: chunk.arrivalMs[row] ?? NaN,
        card: chunk.card[row] ?? NaN,
        terminal: chunk.terminal[row] ?? NaN,
        amount: chunk.amount[row] ?? NaN,
        scenario: chunk.fraudScenario[row] ?? NaN,
        defect: chunk.defect[row] ?? NaN,
      });
    }
  }
  return rows;
}

const share = (rows: readonly Row[], is: (row: Row) => boolean): number => rows.filter(is).length / rows.length;
const sumOf = (rows: readonly Row[]): number => rows.reduce((sum, row) => sum + row.amount, 0);

describe('transactionStream', () => {
  it('gives the same records for the same options, and others for another seed', () => {
    expect(take(3_000, smallWorld)).toEqual(take(3_000, smallWorld));
    expect(take(3_000, smallWorld)).not.toEqual(take(3_000, { ...smallWorld, seed: 8 }));
  });

  it('is cut elsewhere by another chunk size, and otherwise the same', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 700 }), fc.integer({ min: 0, max: 1_000 }), (chunkRecords, seed) => {
        const drills = { malformedShare: 0.05, disorder: { share: 0.3, maxDelayMs: 3_600_000 } };
        const options = { ...smallWorld, ...drills, seed };
        const whole = take(1_000, { ...options, chunkRecords: 1_000 });
        expect(take(1_000, { ...options, chunkRecords }).slice(0, 1_000)).toEqual(whole);
      }),
      { numRuns: 20 },
    );
  });

  it('comes in order of event time and numbers its transactions, day after day', () => {
    const rows = take(40_000, smallWorld);
    expect(rows.every((row, i) => row.sequence === i && row.arrivalMs === row.eventTimeMs)).toBe(true);
    expect(rows.every((row, i) => i === 0 || row.eventTimeMs >= (rows[i - 1]?.eventTimeMs ?? 0))).toBe(true);
    expect(rows[0]?.eventTimeMs).toBeGreaterThan(startMs);
    expect((rows.at(-1)?.eventTimeMs ?? 0) - startMs).toBeGreaterThan(90 * dayMs);
  });

  it("resembles the Handbook's world: its pace, its mean amount, its share and kinds of fraud", () => {
    const rows = take(400_000, {});
    const days = ((rows.at(-1)?.eventTimeMs ?? 0) - startMs) / dayMs;
    // The Handbook's own: 9,586 a day; a mean of 53.6; 0.84 % fraud, of which 62 % by terminals and 32 % by leaked cards.
    expect(rows.length / days).toBeGreaterThan(9_200);
    expect(rows.length / days).toBeLessThan(10_200);
    expect(sumOf(rows) / rows.length).toBeGreaterThan(50);
    expect(sumOf(rows) / rows.length).toBeLessThan(58);
    expect(share(rows, (row) => row.scenario !== 0)).toBeGreaterThan(0.006);
    expect(share(rows, (row) => row.scenario !== 0)).toBeLessThan(0.011);
    const frauds = rows.filter((row) => row.scenario !== 0);
    expect(share(frauds, (row) => row.scenario === fraudScenarios.terminal)).toBeGreaterThan(0.45);
    expect(share(frauds, (row) => row.scenario === fraudScenarios.leakedCard)).toBeGreaterThan(0.2);
    expect(rows.filter((row) => row.amount > 220 && row.scenario === 0)).toEqual([]);
    expect(rows.some((row) => row.scenario === fraudScenarios.cardTesting)).toBe(false);
  });

  it('lets a card buy again and again near its home, not anywhere', () => {
    const rows = take(60_000, {});
    const terminals = new Map<number, Set<number>>();
    for (const row of rows) terminals.set(row.card, (terminals.get(row.card) ?? new Set()).add(row.terminal));
    const most = Math.max(...[...terminals.values()].map((each) => each.size));
    expect(terminals.size).toBeGreaterThan(4_000);
    expect(most).toBeLessThan(60);
  });

  it('lives in a world of one card and one terminal', () => {
    const rows = take(500, { customers: 1, terminals: 1 });
    expect(rows.every((row) => row.card === 0 && row.terminal === 0)).toBe(true);
  });
});

describe('the drift drill', () => {
  const driftFromDay = 20;
  const driftMs = startMs + driftFromDay * dayMs;
  const calm = take(20_000, smallWorld);
  const drilled = take(20_000, { ...smallWorld, driftFromDay });

  it('changes nothing before its day', () => {
    const before = calm.filter((row) => row.eventTimeMs < driftMs);
    expect(before.length).toBeGreaterThan(5_000);
    expect(drilled.slice(0, before.length)).toEqual(before);
  });

  it('multiplies amounts by 1.3 and leaves who buys where and when', () => {
    const bought = drilled.filter((row) => row.scenario !== fraudScenarios.cardTesting && row.eventTimeMs >= driftMs);
    const calmBought = calm.filter((row) => row.eventTimeMs >= driftMs).slice(0, bought.length);
    expect(bought.map((row) => [row.eventTimeMs, row.card, row.terminal])).toEqual(
      calmBought.map((row) => [row.eventTimeMs, row.card, row.terminal]),
    );
    const honest = bought
      .map((row, i) => ({ drifted: row, calm: calmBought[i] }))
      .filter((pair) => pair.drifted.scenario !== 3 && pair.calm?.scenario !== 3);
    for (const pair of honest)
      expect(Math.abs(pair.drifted.amount - 1.3 * (pair.calm?.amount ?? 0))).toBeLessThan(0.012);
  });

  it('steals half of the transactions of a leaked card where it was a third', () => {
    const frauds = (rows: readonly Row[]): number =>
      rows.filter((row) => row.scenario === 3 && row.eventTimeMs >= driftMs).length;
    const big = { customers: 2_000, terminals: 2_000, seed: 3, chunkRecords: 10_000 };
    const ratio = frauds(take(200_000, { ...big, driftFromDay })) / frauds(take(200_000, big));
    expect(ratio).toBeGreaterThan(1.3);
    expect(ratio).toBeLessThan(1.7);
  });

  it('tests cards four times a day with 8 to 15 transactions of 0.50 to 3.00 within minutes', () => {
    const lastWholeDay = Math.floor(((drilled.at(-1)?.eventTimeMs ?? 0) - startMs) / dayMs);
    const bursts = new Map<string, Row[]>();
    for (const row of drilled.filter((each) => each.scenario === fraudScenarios.cardTesting)) {
      const day = Math.floor((row.eventTimeMs - startMs) / dayMs);
      if (day === lastWholeDay) continue;
      const burst = `${day}/${row.card}/${row.terminal}`;
      bursts.set(burst, [...(bursts.get(burst) ?? []), row]);
    }
    expect(bursts.size).toBe(4 * (lastWholeDay - driftFromDay));
    for (const burst of bursts.values()) {
      expect(burst.length).toBeGreaterThanOrEqual(8);
      expect(burst.length).toBeLessThanOrEqual(15);
      expect(burst.every((row) => row.amount >= 0.5 && row.amount <= 3)).toBe(true);
      expect((burst.at(-1)?.eventTimeMs ?? 0) - (burst[0]?.eventTimeMs ?? 0)).toBeLessThan(8 * 60_000);
    }
  });
});

describe('drills of disorder', () => {
  it('delays the share of records that it is told to, by no more than the bound, and loses none', () => {
    const maxDelayMs = 7_200_000;
    const rows = take(20_000, { ...smallWorld, disorder: { share: 0.2, maxDelayMs } });
    const ordered = take(20_000, smallWorld);
    const arrivals = rows.map((row) => row.arrivalMs);
    expect(arrivals.every((arrival, i) => i === 0 || arrival >= (arrivals[i - 1] ?? 0))).toBe(true);
    expect(rows.every((row) => row.arrivalMs - row.eventTimeMs <= maxDelayMs)).toBe(true);
    expect(share(rows, (row) => row.arrivalMs > row.eventTimeMs)).toBeCloseTo(0.2, 1);
    expect(rows.some((row, i) => row.eventTimeMs < (rows[i - 1]?.eventTimeMs ?? 0))).toBe(true);
    const arrived = [...rows].sort((a, b) => a.sequence - b.sequence).slice(0, 15_000);
    expect(arrived.map((row) => ({ ...row, arrivalMs: row.eventTimeMs }))).toEqual(ordered.slice(0, 15_000));
  });

  it('sends the share of records that it is told to a second time, unchanged, within the bound', () => {
    const withinMs = 600_000;
    const rows = take(20_000, { ...smallWorld, duplicates: { share: 0.1, withinMs } });
    const first = new Map<number, Row>();
    const repeated: Row[] = [];
    for (const row of rows) {
      if (first.has(row.sequence)) repeated.push(row);
      else first.set(row.sequence, row);
    }
    expect(repeated.every((row) => row.arrivalMs - (first.get(row.sequence)?.arrivalMs ?? 0) <= withinMs)).toBe(true);
    expect(repeated.map((row) => ({ ...row, arrivalMs: 0 }))).toEqual(
      repeated.map((row) => ({ ...first.get(row.sequence), arrivalMs: 0 })),
    );
    expect(repeated.length / first.size).toBeCloseTo(0.1, 1);
  });

  it('spoils the share of records that it is told to, in every known way', () => {
    const rows = take(20_000, { ...smallWorld, malformedShare: 0.05 });
    expect(share(rows, (row) => row.defect !== 0)).toBeCloseTo(0.05, 2);
    expect(new Set(rows.map((row) => row.defect)).size).toBe(8);
  });
});

describe('streamOptions', () => {
  it.each([
    [{ customers: 0 }, 'customers must be a whole number from 1 to 10000000; got 0'],
    [{ terminals: 1.5 }, 'terminals must be a whole number from 1 to 10000000; got 1.5'],
    [{ driftFromDay: -1 }, 'driftFromDay must be a whole number from 0'],
    [{ malformedShare: 2 }, 'malformedShare must be from 0 to 1; got 2'],
    [{ disorder: { share: NaN, maxDelayMs: 1 } }, 'disorder.share must be from 0 to 1; got NaN'],
  ])('refuses %j in words', (overrides, message) => {
    const stream = transactionStream(overrides);
    expect(() => stream.next()).toThrow(SluiceError);
    expect(() => transactionStream(overrides).next()).toThrow(message);
  });
});
