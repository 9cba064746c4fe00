/** Labelled transactions in columns, in arrival order: what a split into training and test rows looks at. */
export interface LabelledCards {
  /** Day number of each transaction; see {@link dayNumber}. */
  readonly days: Int32Array;
  /** Card (or customer) of each transaction. */
  readonly cards: Uint32Array;
  /** 1 for fraud, else 0. */
  readonly labels: Uint8Array;
}

/** When to train and when to test. All days are day numbers. */
export interface WeekPlan {
  /** First day of the protocol's own training week. */
  readonly trainWeekStart: number;
  /** Mature days that the model is trained on, ending with the training week: 7 is the published protocol, 28 our default. */
  readonly trainDays: number;
}

/** Row numbers of a {@link LabelledCards}, rising. */
export interface SplitRows {
  readonly train: Uint32Array;
  readonly test: Uint32Array;
}

/** Days of the protocol's training week, of the delay until its labels are known, and of the test week. */
const weekDays = 7;
const dayMs = 86_400_000;

/** Days since the epoch, UTC: the unit that the protocol counts in. */
export function dayNumber(eventTimeMs: number): number {
  return Math.floor(eventTimeMs / dayMs);
}

/**
 * The Fraud Detection Handbook's split: train, let seven days pass until the labels are known, test on the week after. From the test week
 * go all transactions of cards that are known by then to be compromised, since those would have been blocked: cards with a fraud in
 * the training week, and for each test day those with a fraud between then and eight days before it.
 *
 *     trainDays … | training week | delay, 7 days | test week |
 *                 ^ trainWeekStart
 *
 * Known cards are counted from the training week on, however far back the model trains, so that every model is tested on the very
 * rows of the published tables.
 */
export function splitWeek({ days, cards, labels }: LabelledCards, plan: WeekPlan): SplitRows {
  const trainEnd = plan.trainWeekStart + weekDays;
  const testStart = trainEnd + weekDays;
  const firstFraudDay = new Map<number, number>();
  for (let row = 0; row < days.length; row++) {
    const day = days[row] as number;
    if (labels[row] !== 1 || day < plan.trainWeekStart || day >= testStart) continue;
    const card = cards[row] as number;
    firstFraudDay.set(card, Math.min(day, firstFraudDay.get(card) ?? Infinity));
  }
  const train: number[] = [];
  const test: number[] = [];
  for (let row = 0; row < days.length; row++) {
    const day = days[row] as number;
    if (day >= trainEnd - plan.trainDays && day < trainEnd) train.push(row);
    if (day < testStart || day >= testStart + weekDays) continue;
    const knownFrom = firstFraudDay.get(cards[row] as number) ?? Infinity;
    if (knownFrom > day - weekDays - 1) test.push(row);
  }
  return { train: Uint32Array.from(train), test: Uint32Array.from(test) };
}

/**
 * The plans of a prequential evaluation: the same split moved back a week at a time. A mean over weeks says more than one week, and its
 * spread says how much more.
 *
 * @param lastTrainWeekStart of the latest fold, which comes first.
 */
export function prequentialPlans(lastTrainWeekStart: number, foldCount: number, trainDays: number): WeekPlan[] {
  return Array.from({ length: foldCount }, (_, fold) => ({
    trainWeekStart: lastTrainWeekStart - fold * weekDays,
    trainDays,
  }));
}
