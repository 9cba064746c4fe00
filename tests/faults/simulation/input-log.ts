import type { RandomSource } from './random-source.ts';

/** A message of the input topic. */
export interface InputRecord {
  readonly value: string;
  readonly timestampMs: number;
}

/** The job that is simulated: short windows, so that records fall out of them, and come too late for them, within one run. */
export const job = {
  delayMs: 1_000,
  maxFutureSkewMs: 60_000,
  windowMs: 20_000,
  allowedLatenessMs: 2_000,
  duplicatesWithinMs: 15_000,
} as const;

/**
 * An input partition of `size` offsets, `null` where a transaction's marker stands instead of a record: a few cards in event time that
 * moves on, and among them records out of order, too late, from the future, sent twice, and malformed.
 */
export function inputLog(random: RandomSource, size: number): (InputRecord | null)[] {
  const log: (InputRecord | null)[] = [];
  let timeMs = 1_000_000;
  for (let offset = 0; offset < size; offset++) {
    timeMs += random.below(3_000);
    const timestampMs = timeMs + 5;
    const chance = random.below(100);
    // The last offset is a record: a reader cannot tell by reading that it has come to a marker at the end.
    if (chance < 4 && offset < size - 1) {
      log.push(null);
    } else if (chance < 10) {
      log.push({ value: `{"id":"r${offset}", broken`, timestampMs });
    } else {
      const isRepeated = chance < 18 && offset > 0;
      const id = `r${isRepeated ? Math.max(0, offset - 1 - random.below(8)) : offset}`;
      const shiftMs = chance < 30 ? -random.below(40_000) : chance < 33 ? 500_000 : -random.below(1_500);
      const record = { id, card: `c${random.below(4)}`, time: timeMs + shiftMs, amount: 1 + random.below(500) };
      log.push({ value: JSON.stringify(record), timestampMs });
    }
  }
  return log;
}
