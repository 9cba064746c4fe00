import { COMPACTED, DEGRADED, LATE, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { PaneRule, RollingAggregate, RollingDefinition } from '../rolling-definition.ts';
import type { CardAnswer, CardRow } from './card-rows.ts';

interface Seen extends CardRow {
  readonly arrival: number;
}

/** What the operator must say, and how each record comes. */
export interface NaiveAnswers {
  readonly answers: readonly CardAnswer[];
  readonly flags: readonly number[];
}

/** The definition, word for word, over the whole history: the naive twin of rolling features in panes. */
export function naivePanes(
  rows: readonly CardRow[],
  batch: RecordBatch,
  definition: RollingDefinition,
  { sizeMs, aboveRecords }: PaneRule,
): NaiveAnswers {
  const { aggregates, allowedLatenessMs } = definition;
  const retentionMs = Math.max(...aggregates.map(({ overMs, delayMs }) => overMs + delayMs)) + allowedLatenessMs;
  const looseMs = Math.max(...aggregates.map(({ delayMs }) => delayMs)) + allowedLatenessMs;
  const paneStart = (t: number): number => (t === -Infinity ? t : Math.floor(t / sizeMs) * sizeMs);
  const seen: Seen[] = [];
  /** Up to where each card was compacted. */
  const compactedTo = new Map<string, number>();
  const flags: number[] = [];
  const answers = rows.map((e, arrival): CardAnswer => {
    const watermark = batch.watermarksMs[arrival] ?? -Infinity;
    if (e.card === null) {
      flags.push(0);
      return Object.fromEntries(aggregates.map(({ name }) => [name, null]));
    }
    const isLate = e.t < watermark - retentionMs;
    flags.push(isLate ? LATE : e.t < watermark - allowedLatenessMs ? DEGRADED : 0);
    const ownPanesTo = compactedTo.get(e.card) ?? -Infinity;
    const panesTo = aboveRecords === undefined ? paneStart(watermark - looseMs) : ownPanesTo;
    const horizon = paneStart(watermark - retentionMs);
    let isCompacted = false;
    const visible = seen.filter(({ card, t }) => card === e.card && t > horizon);
    const answer = Object.fromEntries(
      aggregates.map((aggregate) => {
        const end = e.t - aggregate.delayMs;
        const high = end < panesTo ? paneStart(end) : end;
        const start = end - aggregate.overMs;
        const low = aboveRecords === undefined || start < panesTo ? paneStart(start) : start;
        if (aboveRecords !== undefined && Math.max(low, horizon) < panesTo) isCompacted = true;
        const window = visible.filter(({ t }) => low < t && t <= high);
        if (aggregate.current === 'include' && aggregate.delayMs === 0) window.push({ ...e, arrival });
        return [aggregate.name, naiveAnswer(aggregate, window, e)];
      }),
    );
    if (isCompacted) flags[arrival] = (flags[arrival] ?? 0) | COMPACTED;
    if (!isLate) seen.push({ ...e, arrival });
    const held = seen.filter(({ card, t }) => card === e.card && t > horizon).length;
    if (!isLate && held > (aboveRecords ?? Infinity)) {
      compactedTo.set(e.card, Math.max(ownPanesTo, paneStart(watermark - looseMs)));
    }
    return answer;
  });
  return { answers, flags };
}

function naiveAnswer(
  { function: name, input, where }: RollingAggregate,
  window: readonly Seen[],
  e: CardRow,
): number | null {
  const taken = window
    .filter(({ flagged }) => where === null || flagged === 1)
    .filter(({ amount }) => input === null || amount !== null)
    .toSorted((a, b) => a.t - b.t || a.arrival - b.arrival);
  const values = taken.map(({ amount }) => amount ?? NaN);
  if (name === 'count') return taken.length;
  if (taken.length === 0) return null;
  const total = values.reduce((sum, value) => sum + value, 0);
  switch (name) {
    case 'sum':
      return total;
    case 'avg':
      return total / values.length;
    case 'min':
      return Math.min(...values) + 0;
    case 'max':
      return Math.max(...values) + 0;
    case 'first':
      return values[0] ?? null;
    case 'last':
      return values.at(-1) ?? null;
    case 'sinceLast':
      return (e.t - (taken.at(-1)?.t ?? NaN)) / 1_000;
    case 'stddev': {
      if (values.length < 2) return null;
      const mean = total / values.length;
      return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1));
    }
    case 'distinct':
    case 'lastN':
    case 'decayedSum':
      throw new RangeError(`${name} is not answered from panes`);
  }
}
