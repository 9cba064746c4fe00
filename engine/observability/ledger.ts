/**
 * What became of every record that was read: each is in exactly one of the other columns (semantics, "The ledger"). A record in none of them is a
 * bug of ours, so the batch loop asserts the equation on every batch.
 */
export interface LedgerCounts {
  readonly read: number;
  /** Answered in time; or, where outputs are records of their own, taken in by the operator that makes them. */
  readonly scored: number;
  readonly filtered: number;
  readonly duplicate: number;
  /** Older than the state's horizon: answered too, with the `late` flag, and kept out of state; or too late for any window, and routed or dropped. */
  readonly late: number;
  readonly deadLettered: number;
}

/** The ledger before anything was read. */
export const emptyLedger: LedgerCounts = { read: 0, scored: 0, filtered: 0, duplicate: 0, late: 0, deadLettered: 0 };

/** The sum of two ledgers. */
export function addLedgers(a: LedgerCounts, b: LedgerCounts): LedgerCounts {
  return {
    read: a.read + b.read,
    scored: a.scored + b.scored,
    filtered: a.filtered + b.filtered,
    duplicate: a.duplicate + b.duplicate,
    late: a.late + b.late,
    deadLettered: a.deadLettered + b.deadLettered,
  };
}

/** Whether every record that was read is accounted for. */
export function isBalanced({ read, scored, filtered, duplicate, late, deadLettered }: LedgerCounts): boolean {
  return read === scored + filtered + duplicate + late + deadLettered;
}
