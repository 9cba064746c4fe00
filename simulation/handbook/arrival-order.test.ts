import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { arrivalOrder } from './arrival-order.ts';
import { secondsPerDay, type Purchases } from './purchases.ts';

function purchasesOf(rows: readonly { second: number; customer: number }[]): Purchases {
  const sorted = [...rows].sort((a, b) => a.second - b.second);
  return {
    second: Uint32Array.from(sorted, (row) => row.second),
    customerId: Uint32Array.from(sorted, (row) => row.customer),
    terminalId: new Uint32Array(rows.length),
    amount: new Float64Array(rows.length),
  };
}

/** The same order by looking at everything for everything. Its customers have few rows, so that numpy's sort of them is stable. */
function naiveOrder({ second, customerId }: Purchases): number[] {
  const rows = [...second.keys()];
  const recent = (row: number): number =>
    rows.filter(
      (other) =>
        customerId[other] === customerId[row] &&
        (second[other] ?? 0) > (second[row] ?? 0) - 30 * secondsPerDay &&
        ((second[other] ?? 0) < (second[row] ?? 0) || (second[other] === second[row] && other <= row)),
    ).length;
  return rows.sort((a, b) => (second[a] ?? 0) - (second[b] ?? 0) || recent(a) - recent(b) || a - b);
}

describe('arrivalOrder', () => {
  it('puts transactions of one second by how many their customers have made in 30 days, then by id', () => {
    const purchases = purchasesOf([
      { second: 10, customer: 1 },
      { second: 20, customer: 1 },
      { second: 20, customer: 0 },
      { second: 20, customer: 2 },
    ]);
    expect([...arrivalOrder(purchases, 3)]).toEqual([0, 2, 3, 1]);
  });

  it('no longer counts a transaction that is exactly 30 days old', () => {
    const end = 10 + 30 * secondsPerDay;
    const purchases = purchasesOf([
      { second: 10, customer: 1 },
      { second: end, customer: 1 },
      { second: end, customer: 0 },
    ]);
    expect([...arrivalOrder(purchases, 2)]).toEqual([0, 1, 2]);
  });

  it('agrees with its naive twin on random streams', () => {
    const row = fc.record({ second: fc.integer({ min: 0, max: 40 }), customer: fc.integer({ min: 0, max: 9 }) });
    fc.assert(
      fc.property(fc.array(row, { maxLength: 60 }), fc.constantFrom(1, secondsPerDay), (rows, scale) => {
        const few = rows.filter(
          (each, i) => rows.slice(0, i).filter((other) => other.customer === each.customer).length < 15,
        );
        const purchases = purchasesOf(few.map((each) => ({ ...each, second: each.second * scale })));
        expect([...arrivalOrder(purchases, 10)]).toEqual(naiveOrder(purchases));
      }),
    );
  });
});
