/** Scored transactions in columns, as card precision needs them. */
export interface ScoredCards {
  /** Day number of each transaction, from any start. */
  readonly days: Int32Array;
  /** Card (or customer) of each transaction. */
  readonly cards: Uint32Array;
  /** Higher means more likely fraud. */
  readonly scores: ArrayLike<number>;
  /** 1 for fraud, else 0. */
  readonly labels: ArrayLike<number>;
}

/** A day's cards as investigators would see them. */
interface DayOfCards {
  readonly bestScore: Map<number, number>;
  readonly compromised: Set<number>;
}

/**
 * Card precision at `k`, as the Fraud Detection Handbook's protocol has it: on each day the `k` cards whose highest score is greatest
 * are looked at; the share of them with a fraud on that day is the day's precision; a card found out is blocked and is out of the
 * pool on later days. The mean over the days is what a team that can look at `k` cards a day would live with.
 *
 * The divisor is `k` also on a day with fewer cards. Of cards with equal scores those with the lower number are looked at first.
 *
 * @returns between 0 and 1; NaN where there are no transactions.
 */
export function cardPrecision(scored: ScoredCards, k: number): number {
  const byDay = dailyPrecisions(scored, k);
  return byDay.reduce((sum, precision) => sum + precision, 0) / byDay.length;
}

/** The precision of each day that has transactions, in the days' order: what {@link cardPrecision} is the mean of. */
export function dailyPrecisions(scored: ScoredCards, k: number): number[] {
  const days = cardsByDay(scored);
  const blocked = new Set<number>();
  return [...days.keys()]
    .sort((a, b) => a - b)
    .map((day) => {
      const { bestScore, compromised } = days.get(day) as DayOfCards;
      const pool = [...bestScore].filter(([card]) => !blocked.has(card));
      pool.sort(([cardA, scoreA], [cardB, scoreB]) => scoreB - scoreA || cardA - cardB);
      const found = pool.slice(0, k).filter(([card]) => compromised.has(card));
      for (const [card] of found) blocked.add(card);
      return found.length / k;
    });
}

function cardsByDay({ days, cards, scores, labels }: ScoredCards): Map<number, DayOfCards> {
  const byDay = new Map<number, DayOfCards>();
  for (let row = 0; row < days.length; row++) {
    const day = days[row] as number;
    const card = cards[row] as number;
    let ofDay = byDay.get(day);
    if (ofDay === undefined) byDay.set(day, (ofDay = { bestScore: new Map(), compromised: new Set() }));
    const score = scores[row] as number;
    ofDay.bestScore.set(card, Math.max(score, ofDay.bestScore.get(card) ?? -Infinity));
    if (labels[row] === 1) ofDay.compromised.add(card);
  }
  return byDay;
}
