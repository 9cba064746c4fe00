import { strict as assert } from 'node:assert';
import type { Row } from './compare-rows.ts';
import { instantOf } from './query-under-test.ts';
import { SeededChance } from './seeded-chance.ts';

/** What is to happen to rows on their way. Shares are of all rows, 0 to 1; what is left out does not happen. */
export interface Disorder {
  /** The field that holds the event time: milliseconds, ISO 8601 text, or a `Date`. */
  readonly eventTime: string;
  /** How far behind the newest row a row may come and still be in time: the `delay` of the job's event time. */
  readonly delayMs: number;
  /** Rows that get the event time of the row before them. */
  readonly ties?: number;
  /** Rows that come a second time, unchanged, after the first and in time. */
  readonly duplicates?: number;
  /** Rows that come once the watermark has passed them. */
  readonly late?: number;
  /** How far the watermark is past a late row when it comes; default 1 ms. Give more than the job's allowed lateness, or the state's horizon, to go beyond them. */
  readonly lateByMs?: number;
  /** The same seed gives the same order. */
  readonly seed: number;
}

interface Arrival {
  readonly row: Row;
  readonly eventTimeMs: number;
  readonly at: number;
}

/**
 * Rows as life delivers them: out of order within the delay, with ties, repeats and latecomers, reproducibly. For the arrival order of one partition.
 *
 * Every row that is neither late nor a copy is there once. In time means: when it comes, no row before it is more than `delayMs` newer, so the watermark (the newest event time less the
 * delay) has not passed it. A late row comes as soon as a row before it is more than `delayMs + lateByMs` newer; rows so near the end of the stream that none is stay in time,
 * so a short stream may have fewer late rows than were asked for.
 *
 *     addData(disordered(payments, { eventTime: 'at', delayMs: 10_000, ties: 0.1, duplicates: 0.05, late: 0.02, seed: 7 }))
 */
export function disordered(rows: readonly Row[], disorder: Disorder): readonly Row[] {
  const { eventTime, delayMs, ties = 0, duplicates = 0, late = 0, lateByMs = 1, seed } = disorder;
  const chance = new SeededChance(seed);
  const timed = rows
    .map((row) => ({ row, eventTimeMs: timeOf(row, eventTime) }))
    .sort((a, b) => a.eventTimeMs - b.eventTimeMs);
  for (let index = 1; index < timed.length; index++) {
    const [before, here] = [timed[index - 1], timed[index]];
    if (before === undefined || here === undefined || !chance.isIn(ties)) continue;
    timed[index] = { row: { ...here.row, [eventTime]: before.row[eventTime] }, eventTimeMs: before.eventTimeMs };
  }
  const newestMs = timed.at(-1)?.eventTimeMs ?? 0;
  const inTime: Arrival[] = [];
  const latecomers: Arrival[] = [];
  for (const { row, eventTimeMs } of timed) {
    const isLate = chance.isIn(late) && eventTimeMs + delayMs + lateByMs < newestMs;
    const at = eventTimeMs + chance.upTo(delayMs);
    (isLate ? latecomers : inTime).push({ row, eventTimeMs, at });
    if (!isLate && chance.isIn(duplicates)) {
      inTime.push({ row, eventTimeMs, at: at + chance.upTo(eventTimeMs + delayMs - at) });
    }
  }
  inTime.sort((a, b) => a.at - b.at);
  return withLatecomers(inTime, latecomers, delayMs + lateByMs).map(({ row }) => row);
}

/** Puts each latecomer behind the first row that is so much newer; behind all others where only another latecomer would have been. */
function withLatecomers(
  inTime: readonly Arrival[],
  latecomers: readonly Arrival[],
  behindMs: number,
): readonly Arrival[] {
  let newestMs = -Infinity;
  let next = 0;
  const ordered: Arrival[] = [];
  for (const arrival of inTime) {
    ordered.push(arrival);
    newestMs = Math.max(newestMs, arrival.eventTimeMs);
    for (
      let first = latecomers[next];
      first !== undefined && first.eventTimeMs + behindMs < newestMs;
      first = latecomers[++next]
    ) {
      ordered.push(first);
    }
  }
  return [...ordered, ...latecomers.slice(next)];
}

function timeOf(row: Row, field: string): number {
  const instantMs = instantOf(row[field]);
  assert(instantMs !== null, `every row must have an event time in "${field}"; got ${JSON.stringify(row)}`);
  return instantMs;
}
