import { SluiceError } from '../../../engine/error.ts';
import type { Field } from '../../../engine/record/schema.ts';
import { Schema } from '../../../engine/record/schema.ts';
import type { Row } from '../../row/row-view.ts';
import type { ProcessDefinition } from '../process-definition.ts';
import { jsonState } from '../state-codec.ts';

/** The records that {@link meter} takes. */
export const meterSchema: Schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'long', presence: 'optional' },
  { name: 'wanted', type: 'boolean', presence: 'optional' },
]);

/** What {@link meter} keeps of a card. */
export interface MeterState {
  readonly count: number;
  readonly total: number;
}

const outputs: readonly Field[] = [
  { name: 'what', type: 'string', presence: 'required' },
  { name: 'count', type: 'long', presence: 'required' },
  { name: 'total', type: 'double', presence: 'optional' },
];

/**
 * An operator that does whatever an operator may: by the amount of a record it sets timers, before and behind the watermark, takes them back, clears its state, gives rows out,
 * none or several, and throws, having done a part of that.
 */
export function meter(change: Partial<ProcessDefinition<MeterState>> = {}): ProcessDefinition<MeterState> {
  return {
    operatorId: 'meter',
    key: ['card'],
    outputs,
    codec: jsonState<MeterState>(),
    ttlMs: 60,
    delayMs: 20,
    closedBy: 'partition',
    errors: 'dead-letter',
    onRecord(record, context) {
      const amount = record['amount'] === null ? 0 : Number(record['amount']);
      const { eventTimeMs, state, timers } = context;
      const before = state.get() ?? { count: 0, total: 0 };
      const after = { count: before.count + 1, total: before.total + amount };
      state.set(after);
      if (amount % 2 === 0) timers.set(eventTimeMs + 5 * amount);
      if (amount % 5 === 0) timers.delete(eventTimeMs + 10);
      if (amount === 7) context.emit({ what: 'doomed', count: 0, total: null });
      if (amount === 7) throw new SluiceError('AMOUNT_SEVEN', 'an amount must not be seven');
      if (amount === -1) context.emit({ what: 'broken', count: 0.5, total: null });
      if (amount === 3) state.clear();
      if (record['wanted'] === true) context.emit({ what: 'seen', ...after });
      if (amount > 12) context.emit({ what: 'again', count: amount, total: null });
    },
    onTimer(context) {
      const { count, total } = context.state.get() ?? { count: 0, total: null };
      context.emit({ what: 'timer', count, total });
      if (count > 3) context.state.clear();
      else if (count > 1) context.timers.set(context.eventTimeMs + 15);
    },
    ...change,
  };
}

/** A record as the twin sees it. */
export interface MeterRecord {
  readonly partition: number;
  readonly offset: number;
  readonly t: number;
  readonly card: string | null;
  readonly amount: number | null;
  readonly wanted: boolean | null;
}

interface Kept {
  readonly card: string;
  readonly scope: number;
  state: MeterState | null;
  until: number;
  timers: Set<number>;
}

/** What came out, in order, and the offsets of the records that were thrown on. */
export interface MeterOutcome {
  readonly rows: readonly Row[];
  readonly rejected: readonly number[];
}

/**
 * The same by its definition: for each record, the watermarks from all records before it; for each watermark, all keys looked through for what is due first, again and again.
 */
export function naiveMeter(
  { ttlMs, delayMs, closedBy }: ProcessDefinition<MeterState>,
  records: readonly MeterRecord[],
): MeterOutcome {
  const kept: Kept[] = [];
  const rows: Row[] = [];
  const rejected: number[] = [];
  let highest = -Infinity;
  const ofPartition = (p: number, count: number): number =>
    Math.max(-Infinity, ...records.slice(0, count).flatMap((r) => (r.partition === p ? [r.t - delayMs] : [])));
  const watermark = (i: number, count: number): number => {
    if (closedBy === 'partition') return ofPartition(records[i]?.partition ?? 0, count);
    const seen = new Set(records.slice(0, i + 1).map((r) => r.partition));
    highest = Math.max(highest, Math.min(...[...seen].map((p) => ofPartition(p, count))));
    return highest;
  };
  const dueOf = ({ until, timers }: Kept): number => Math.min(until, ...timers);
  const doDue = (scope: number, w: number, offset: number): void => {
    for (;;) {
      const due = kept
        .filter((entry) => entry.scope === scope && dueOf(entry) <= w)
        .toSorted((a, b) => dueOf(a) - dueOf(b) || (a.card < b.card ? -1 : 1))[0];
      if (due === undefined) return;
      const at = dueOf(due);
      if (!due.timers.delete(at)) {
        due.state = null;
        due.until = Infinity;
        continue;
      }
      const { count, total } = due.state ?? { count: 0, total: null };
      rows.push({ card: due.card, what: 'timer', count, total, t: at, offset });
      if (count > 3) [due.state, due.until] = [null, Infinity];
      else if (count > 1) due.timers.add(at + 15);
    }
  };
  records.forEach(({ partition, offset, t, card, amount: given, wanted }, i) => {
    const scope = closedBy === 'query' ? -1 : partition;
    doDue(scope, watermark(i, i), offset);
    const amount = given ?? 0;
    if (card !== null && (amount === 7 || amount === -1)) rejected.push(offset);
    else if (card !== null) {
      let entry = kept.find((other) => other.card === card && other.scope === scope);
      if (entry === undefined) kept.push((entry = { card, scope, state: null, until: Infinity, timers: new Set() }));
      const before = entry.state ?? { count: 0, total: 0 };
      const after = { count: before.count + 1, total: before.total + amount };
      if (amount % 2 === 0) entry.timers.add(t + 5 * amount);
      if (amount % 5 === 0) entry.timers.delete(t + 10);
      const until = ttlMs === null ? Infinity : entry.state === null ? t + ttlMs : Math.max(entry.until, t + ttlMs);
      [entry.state, entry.until] = amount === 3 ? [null, Infinity] : [after, until];
      if (wanted === true) rows.push({ card, what: 'seen', ...after, t, offset });
      if (amount > 12) rows.push({ card, what: 'again', count: amount, total: null, t, offset });
    }
    doDue(scope, watermark(i, i + 1), offset);
  });
  return { rows, rejected };
}
