import { job, type InputRecord } from './input-log.ts';

/** A record as the job's input has it. */
interface Transaction {
  readonly id: string;
  readonly card: string;
  readonly time: number;
  readonly amount: number;
}

/** What one input offset must bring: which partition gets which message. `null`: a marker, or a duplicate. */
export type Answer = { readonly partition: string; readonly value: string } | null;

/** What the state must be that reflects the log up to some offset. */
export interface NaiveState {
  /** The records that windows may still reach, by card, in order of event time; equal times in order of arrival. */
  readonly rows: ReadonlyMap<string, readonly (readonly [timeMs: number, amount: number])[]>;
  readonly totals: ReadonlyMap<string, number>;
  /** Every record that was let through, in order of arrival. */
  readonly kept: readonly (readonly [id: string, timeMs: number])[];
  /** Rows at or before it may be there or not: nothing reaches them any more. */
  readonly horizonMs: number;
}

const retentionMs = job.windowMs + job.allowedLatenessMs;

/** A log's answers, one for each offset, and the state after each, by the words of `semantics.md`, record after record. */
export interface Truth {
  readonly answers: readonly Answer[];
  /** The state at offset S. */
  stateAt(offset: number): NaiveState;
  /** The watermark before the record at an offset. */
  watermarkAt(offset: number): number;
}

/** Works out what a log must lead to, by nothing of the product. */
export function truthOf(log: readonly (InputRecord | null)[]): Truth {
  const applied: { readonly offset: number; readonly record: Transaction; readonly isLate: boolean }[] = [];
  const watermarks: number[] = [];
  let watermarkMs = -Infinity;
  const answers = log.map((message, offset): Answer => {
    watermarks.push(watermarkMs);
    if (message === null) return null;
    const record = parse(message.value);
    if (record === null) return { partition: 'dead-0', value: `JSON_MALFORMED ${offset} ${message.value}` };
    const before = watermarkMs;
    const isGuarded = record.time > message.timestampMs + job.maxFutureSkewMs;
    if (!isGuarded) watermarkMs = Math.max(watermarkMs, record.time - job.delayMs);
    const sameId = applied.filter((other) => other.record.id === record.id).map((other) => other.record.time);
    const lastMs = Math.max(-Infinity, ...sameId);
    const isRemembered = lastMs > before - job.duplicatesWithinMs;
    if (isRemembered && Math.abs(record.time - lastMs) < job.duplicatesWithinMs) return null;

    const { card, time } = record;
    const window = applied.filter(
      (other) =>
        !other.isLate &&
        other.record.card === card &&
        other.record.time > time - job.windowMs &&
        other.record.time <= time &&
        other.record.time > before - retentionMs,
    );
    const isLate = time < before - retentionMs;
    const flags = (isLate ? 2 : time < before - job.allowedLatenessMs ? 1 : 0) + (isGuarded ? 4 : 0);
    applied.push({ offset, record, isLate });
    const total = sumOf(applied.filter((other) => other.record.card === card));
    const answer = {
      id: record.id,
      offset,
      total,
      count: window.length,
      sum: window.length === 0 ? null : sumOf(window),
      flags,
    };
    return { partition: `out-${Number(card.slice(1)) % 2}`, value: JSON.stringify(answer) };
  });
  watermarks.push(watermarkMs);
  return {
    answers,
    watermarkAt: (offset) => watermarks[offset] ?? -Infinity,
    stateAt(offset) {
      const past = applied.filter((one) => one.offset < offset);
      const rows = new Map<string, (readonly [number, number])[]>();
      const totals = new Map<string, number>();
      for (const { record, isLate } of past) {
        totals.set(record.card, (totals.get(record.card) ?? 0) + record.amount);
        if (!isLate) rows.set(record.card, [...(rows.get(record.card) ?? []), [record.time, record.amount]]);
      }
      for (const list of rows.values()) list.sort(([a], [b]) => a - b);
      const kept = past.map(({ record }) => [record.id, record.time] as const);
      return { rows, totals, kept, horizonMs: (watermarks[offset] ?? -Infinity) - retentionMs };
    },
  };
}

function sumOf(records: readonly { readonly record: Transaction }[]): number {
  return records.reduce((sum, { record }) => sum + record.amount, 0);
}

function parse(text: string): Transaction | null {
  try {
    return JSON.parse(text) as Transaction;
  } catch {
    return null;
  }
}
