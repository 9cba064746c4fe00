import { describe, expect, it } from 'vitest';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { aucRoc } from './auc-roc.ts';
import { cardPrecision } from './card-precision.ts';
import { dayNumber, prequentialPlans, splitWeek } from './protocol.ts';

const day = (text: string): number => dayNumber(Date.parse(`${text}T00:00:00Z`));

describe('splitWeek', () => {
  it('trains on the week, leaves out the delay, and tests on the week after', () => {
    const days = Int32Array.from({ length: 30 }, (_, row) => row);
    const stream = { days, cards: new Uint32Array(30), labels: new Uint8Array(30) };
    const { train, test } = splitWeek(stream, { trainWeekStart: 5, trainDays: 7 });
    expect([...train]).toEqual([5, 6, 7, 8, 9, 10, 11]);
    expect([...test]).toEqual([19, 20, 21, 22, 23, 24, 25]);
    expect([...splitWeek(stream, { trainWeekStart: 5, trainDays: 10 }).train]).toEqual([
      2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
    ]);
  });

  it('leaves out test transactions of cards that were known by then to be compromised', () => {
    // Card 1: fraud in the training week. Card 2: fraud on day 13, known from day 21 on. Card 3: fraud before the training week only.
    const rows: [number, number, number][] = [
      [4, 3, 1],
      [6, 1, 1],
      [13, 2, 1],
      [19, 1, 0],
      [19, 2, 0],
      [20, 2, 0],
      [21, 2, 0],
      [22, 3, 0],
    ];
    const stream = {
      days: Int32Array.from(rows, ([date]) => date),
      cards: Uint32Array.from(rows, ([, card]) => card),
      labels: Uint8Array.from(rows, ([, , label]) => label),
    };
    expect([...splitWeek(stream, { trainWeekStart: 5, trainDays: 7 }).test]).toEqual([4, 5, 7]);
    expect([...splitWeek(stream, { trainWeekStart: 5, trainDays: 28 }).test]).toEqual([4, 5, 7]);
  });

  it("comes out with the published counts and the published card precision of a perfect model on the Handbook's stream", () => {
    const { eventTimeMs, customerId, fraud } = generateHandbookTransactions();
    const stream = { days: Int32Array.from(eventTimeMs, dayNumber), cards: customerId, labels: fraud };
    const { train, test } = splitWeek(stream, { trainWeekStart: day('2018-07-25'), trainDays: 7 });
    const fraudsIn = (rows: Uint32Array): number => rows.filter((row) => fraud[row] === 1).length;
    expect([train.length, fraudsIn(train), test.length, fraudsIn(test)]).toEqual([67_240, 598, 58_264, 385]);
    const labels = Array.from(test, (row) => fraud[row] ?? 0);
    const perfect = {
      days: Int32Array.from(test, (row) => stream.days[row] ?? 0),
      cards: Uint32Array.from(test, (row) => customerId[row] ?? 0),
      scores: labels,
      labels,
    };
    expect(cardPrecision(perfect, 100)).toBeCloseTo(0.397, 3);
    expect(aucRoc(labels, labels)).toBe(1);
  });
});

describe('prequentialPlans', () => {
  it('moves the same split back a week at a time', () => {
    expect(prequentialPlans(day('2018-08-15'), 4, 7).map(({ trainWeekStart }) => trainWeekStart)).toEqual(
      ['2018-08-15', '2018-08-08', '2018-08-01', '2018-07-25'].map(day),
    );
  });
});
