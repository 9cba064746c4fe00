import type { ByteSlab } from '../../engine/record/column.ts';

/**
 * What is wrong with a malformed record, by number. 0 is nothing; the others are each something that a decoder must refuse, and
 * that happens in production.
 */
export const defects = {
  none: 0,
  /** The JSON text ends in the middle. */
  truncated: 1,
  /** There is no `amount`. */
  amountMissing: 2,
  /** `amount` is a text. */
  amountText: 3,
  /** `amount` is a number beyond all doubles. */
  amountInfinite: 4,
  /** `card_id` is null. */
  cardMissing: 5,
  /** There is no `event_time`. */
  timeMissing: 6,
  /** Bytes that are not text at all. */
  noise: 7,
} as const;

/** How many kinds of defect there are, {@link defects}.none aside. */
export const defectKinds = 7;

/** Simulated transactions in columns of equal length, in order of arrival. */
export interface TransactionChunk {
  readonly rowCount: number;
  /** The transaction's number in order of event time, from 0; `transaction_id` is made of it. A duplicate has its original's. */
  readonly sequence: Float64Array;
  readonly eventTimeMs: Float64Array;
  /** When the record arrives; never less than the row's before it. Equal to the event time but for delayed records. */
  readonly arrivalMs: Float64Array;
  /** Index into {@link cardIds}. */
  readonly card: Uint32Array;
  /** Index into {@link terminalIds}. */
  readonly terminal: Uint32Array;
  /** Whole cents. */
  readonly amount: Float64Array;
  /** 0 none, 1 amount over 220, 2 compromised terminal, 3 leaked card, 4 card testing. */
  readonly fraudScenario: Uint8Array;
  /** One of {@link defects}. The other columns hold what the record would have been. */
  readonly defect: Uint8Array;
  /** All cards' ids; the same slab in every chunk of a stream. */
  readonly cardIds: ByteSlab;
  /** All terminals' ids; the same slab in every chunk of a stream. */
  readonly terminalIds: ByteSlab;
}
