import { isValid, valueAt } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';

/** How many of the latest alerts are kept for the screen. */
const keptAlerts = 6;

/** One flagged transaction, as the screen shows it. */
export interface Alert {
  readonly transactionId: string;
  readonly amount: number;
  readonly probability: number;
  readonly isFraud: boolean;
  /** The features that spoke for it most. */
  readonly reasons: readonly string[];
  /** The features that say most to a person, by name; null where the card has no history. */
  readonly features: Readonly<Record<string, number | null>>;
}

/** Predictions held against the truth that the simulator knows. */
export interface Tally {
  readonly frauds: number;
  /** Frauds that were flagged. */
  readonly caught: number;
  /** Flagged, and not a fraud. */
  readonly falseAlarms: number;
  /** Amounts of all frauds, and of the caught ones. */
  readonly fraudAmount: number;
  readonly caughtAmount: number;
  /** The newest last. */
  readonly alerts: readonly Alert[];
}

/** Counts, batch by batch, what the model caught and what it missed. The truth travels in the simulated record; no feature reads it before its label delay. */
export class FraudTally {
  readonly #shownFeatures: readonly string[];
  #frauds = 0;
  #caught = 0;
  #falseAlarms = 0;
  #fraudAmount = 0;
  #caughtAmount = 0;
  #alerts: Alert[] = [];

  /** @param shownFeatures columns to show beside an alert. */
  constructor(shownFeatures: readonly string[]) {
    this.#shownFeatures = shownFeatures;
  }

  /** Takes in a committed batch of scored records. */
  observe(batch: RecordBatch): void {
    const truths = columnOf(batch, 'is_fraud');
    const predictions = columnOf(batch, 'prediction');
    const amounts = columnOf(batch, 'amount');
    if (truths.kind !== 'number' || predictions.kind !== 'number' || amounts.kind !== 'number') return;
    for (let row = 0; row < batch.rowCount; row++) {
      const isFraud = isValid(truths, row) && truths.values[row] === 1;
      const isFlagged = predictions.values[row] === 1;
      const amount = amounts.values[row] ?? 0;
      if (isFraud) {
        this.#frauds++;
        this.#fraudAmount += amount;
      }
      if (!isFlagged) continue;
      if (isFraud) {
        this.#caught++;
        this.#caughtAmount += amount;
      } else {
        this.#falseAlarms++;
      }
      this.#alerts.push(this.#alertOf(batch, row, amount, isFraud));
    }
    this.#alerts = this.#alerts.slice(-keptAlerts);
  }

  /** What was counted so far. */
  get tally(): Tally {
    return {
      frauds: this.#frauds,
      caught: this.#caught,
      falseAlarms: this.#falseAlarms,
      fraudAmount: this.#fraudAmount,
      caughtAmount: this.#caughtAmount,
      alerts: this.#alerts,
    };
  }

  #alertOf(batch: RecordBatch, row: number, amount: number, isFraud: boolean): Alert {
    const textOf = (name: string): string => String(valueAt(columnOf(batch, name), row) ?? '');
    const numberOf = (name: string): number | null => {
      const value = valueAt(columnOf(batch, name), row);
      return typeof value === 'number' ? value : null;
    };
    return {
      transactionId: textOf('transaction_id'),
      amount,
      probability: numberOf('probability') ?? NaN,
      isFraud,
      reasons: JSON.parse(textOf('reasons')) as string[],
      features: Object.fromEntries(this.#shownFeatures.map((name) => [name, numberOf(name)])),
    };
  }
}
