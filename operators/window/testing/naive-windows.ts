import type { AggregateFunction } from '../../aggregate/aggregate-spec.ts';
import type { WindowDefinition } from '../window-definition.ts';

/** A record as the twin sees it. */
export interface NaiveRecord {
  readonly partition: number;
  readonly offset: number;
  readonly t: number;
  readonly card: string | null;
  readonly amount: number | null;
  readonly place: string | null;
  readonly wanted: boolean | null;
  readonly guarded: boolean;
}

/** A result as a plain object, with where it came out. */
export type NaiveResult = Readonly<Record<string, number | string | null>>;

/** What became of all records, and all results in order. */
export interface NaiveOutcome {
  readonly results: readonly NaiveResult[];
  readonly fates: readonly ('taken' | 'filtered' | 'late')[];
}

interface Group {
  readonly card: string;
  readonly scope: number;
  start: number;
  end: number;
  /** Indices of records, in arrival order. */
  members: number[];
}

interface Row {
  readonly index: number;
  /** 0: while the record is taken in; 1: as the watermark moves past it. */
  readonly phase: 0 | 1;
  readonly group: Group;
  readonly members: readonly number[];
}

/**
 * Windows by their definition: for each record the watermarks before and after it, computed from all records before; for each window its records, and from them every
 * result and when it comes out. No queues, no incremental state, no batches.
 */
export function naiveWindows(definition: WindowDefinition, records: readonly NaiveRecord[]): NaiveOutcome {
  const { window, outputMode, allowedLatenessMs: lateness, closedBy } = definition;
  const scopeOf = (record: NaiveRecord): number => (closedBy === 'query' ? -1 : record.partition);
  const { before, after } = watermarksOf(definition, records);
  /** The first record behind which the scope's watermark is there. */
  const reached = (scope: number, watermark: number): number =>
    records.findIndex((record, i) => (scope === -1 || scopeOf(record) === scope) && (after[i] ?? 0) >= watermark);
  const fates = records.map((): 'taken' | 'filtered' | 'late' => 'filtered');
  const groups: Group[] = [];
  records.forEach((record, i) => {
    const { card, t } = record;
    if (card === null || record.wanted !== true) return;
    const scope = scopeOf(record);
    const isOver = (end: number): boolean => outputMode !== 'complete' && (before[i] ?? 0) >= end + lateness;
    const same = groups.filter((group) => group.card === card && group.scope === scope);
    fates[i] = 'late';
    if (window.kind === 'count') {
      let open = same.at(-1);
      if (open === undefined || open.members.length === window.size) {
        open = { card, scope, start: t, end: t + 1, members: [] };
        groups.push(open);
      }
      open.members.push(i);
      fates[i] = 'taken';
    } else if (window.kind === 'session') {
      const end = t + window.gapMs;
      const live = same.filter((group) => !isOver(group.end) && group.start < end && group.end > t);
      if (live.length === 0 && isOver(end)) return;
      const merged = {
        card,
        scope,
        start: Math.min(t, ...live.map((group) => group.start)),
        end: Math.max(end, ...live.map((group) => group.end)),
        members: [...live.flatMap((group) => group.members), i].sort((a, b) => a - b),
      };
      for (const group of live) groups.splice(groups.indexOf(group), 1);
      groups.push(merged);
      fates[i] = 'taken';
    } else {
      const every = window.kind === 'tumbling' ? window.sizeMs : window.everyMs;
      for (let n = -20; n <= 20; n++) {
        const start = (Math.floor((t - window.startMs) / every) + n) * every + window.startMs;
        if (start > t || t >= start + window.sizeMs || isOver(start + window.sizeMs)) continue;
        fates[i] = 'taken';
        const open = same.find((group) => group.start === start);
        if (open !== undefined) open.members.push(i);
        else groups.push({ card, scope, start, end: start + window.sizeMs, members: [i] });
      }
    }
  });
  const moments = records.map((_, index) => ({ index, watermark: after[index] ?? 0 }));
  const rows =
    outputMode === 'complete' ? tablesOf(definition, groups, records, moments) : rowsOf(definition, groups, reached);
  const inOrder = rows
    .map((row) => ({ ...row, ...boundsOf(definition, records, row) }))
    .sort(
      (a, b) =>
        a.index - b.index ||
        a.phase - b.phase ||
        a.end - b.end ||
        a.start - b.start ||
        (a.group.card < b.group.card ? -1 : a.group.card > b.group.card ? 1 : 0),
    );
  return { fates, results: inOrder.map((row) => resultOf(definition, records, row)) };
}

function watermarksOf(
  { delayMs, closedBy }: WindowDefinition,
  records: readonly NaiveRecord[],
): { readonly before: readonly number[]; readonly after: readonly number[] } {
  /** The watermark of a partition with the first `count` records. */
  const partition = (p: number, count: number): number =>
    Math.max(
      -Infinity,
      ...records.slice(0, count).flatMap((r) => (r.partition === p && !r.guarded ? [r.t - delayMs] : [])),
    );
  const query = (count: number, joined: number): number => {
    const seen = new Set(records.slice(0, joined).map((r) => r.partition));
    return seen.size === 0 ? -Infinity : Math.min(...[...seen].map((p) => partition(p, count)));
  };
  let highest = -Infinity;
  const before: number[] = [];
  const after: number[] = [];
  records.forEach((record, i) => {
    if (closedBy === 'partition') {
      before.push(partition(record.partition, i));
      after.push(partition(record.partition, i + 1));
      return;
    }
    highest = Math.max(highest, query(i, i + 1));
    before.push(highest);
    highest = Math.max(highest, query(i + 1, i + 1));
    after.push(highest);
  });
  return { before, after };
}

function rowsOf(
  { window, outputMode, lateness, allowedLatenessMs }: WindowDefinition,
  groups: readonly Group[],
  reached: (scope: number, watermark: number) => number,
): Row[] {
  const upTo = (group: Group, index: number): readonly number[] => group.members.filter((i) => i <= index);
  if (outputMode === 'update') {
    return groups.flatMap((group) =>
      group.members.map((index): Row => ({ index, phase: 0, group, members: upTo(group, index) })),
    );
  }
  if (window.kind === 'count') {
    return groups.flatMap((group): Row[] => {
      const last = group.members.at(-1) ?? -1;
      return group.members.length === window.size ? [{ index: last, phase: 0, group, members: group.members }] : [];
    });
  }
  return groups.flatMap((group): Row[] => {
    const index = reached(group.scope, group.end + (lateness === 'wait' ? allowedLatenessMs : 0));
    if (index < 0) return [];
    if (lateness === 'wait') return [{ index, phase: 1, group, members: group.members }];
    const inTime = upTo(group, index);
    const first: Row[] = inTime.length === 0 ? [] : [{ index, phase: 1, group, members: inTime }];
    const again = group.members.filter((i) => i > index);
    return [...first, ...again.map((i): Row => ({ index: i, phase: 0, group, members: upTo(group, i) }))];
  });
}

/** The window of a result: of aligned windows as it is, otherwise from the first of its records to the last. */
function boundsOf(
  { window }: WindowDefinition,
  records: readonly NaiveRecord[],
  { group, members }: Pick<Row, 'group' | 'members'>,
): { readonly start: number; readonly end: number } {
  if (window.kind === 'tumbling' || window.kind === 'hopping') return { start: group.start, end: group.end };
  const times = members.map((i) => records[i]?.t ?? 0);
  return { start: Math.min(...times), end: Math.max(...times) + (window.kind === 'session' ? window.gapMs : 1) };
}

/** The whole table, whenever there is a closed window in it that was not shown closed, as it is, before. */
function tablesOf(
  definition: WindowDefinition,
  groups: readonly Group[],
  records: readonly NaiveRecord[],
  moments: readonly { readonly index: number; readonly watermark: number }[],
): Row[] {
  const shown = new Set<string>();
  return moments.flatMap(({ index, watermark }) => {
    const windows = groups.flatMap((group) => partsOf(definition, records, group, index));
    const closed = windows.flatMap(({ group, members }) => {
      const { start, end } = boundsOf(definition, records, { group, members });
      return end <= watermark ? [`${group.card} ${start} ${members.join()}`] : [];
    });
    const isNew = closed.some((name) => !shown.has(name));
    for (const name of closed) shown.add(name);
    return isNew ? windows.map((window): Row => ({ ...window, index, phase: 1 })) : [];
  });
}

/** What a group was up to a record: of a session, the sessions that it was made of then. */
function partsOf(
  { window }: WindowDefinition,
  records: readonly NaiveRecord[],
  group: Group,
  index: number,
): { readonly group: Group; readonly members: readonly number[] }[] {
  const members = group.members.filter((i) => i <= index);
  if (members.length === 0) return [];
  if (window.kind !== 'session') return [{ group, members }];
  const timeOf = (i: number): number => records[i]?.t ?? 0;
  const parts: number[][] = [];
  for (const i of members.toSorted((a, b) => timeOf(a) - timeOf(b))) {
    const open = parts.at(-1);
    if (open === undefined || timeOf(i) - timeOf(open.at(-1) ?? i) >= window.gapMs) parts.push([i]);
    else open.push(i);
  }
  return parts.map((part) => ({ group, members: part }));
}

function resultOf(
  definition: WindowDefinition,
  records: readonly NaiveRecord[],
  row: Row & { readonly start: number; readonly end: number },
): NaiveResult {
  const { group, members, index, start, end } = row;
  const inWindow = members.flatMap((i) => records[i] ?? []);
  const result: Record<string, number | string | null> = {
    card: group.card,
    window_start: start,
    window_end: end,
  };
  for (const { name, spec, input, where } of definition.aggregates) {
    const taking = where === null ? inWindow : inWindow.filter(({ amount }) => amount !== null && amount > 0);
    const inOrder = taking.toSorted((a, b) => a.t - b.t || a.partition - b.partition || a.offset - b.offset);
    const values = inOrder
      .map((record) => (input === null ? 1 : input === 'place' ? record.place : record.amount))
      .filter((value) => value !== null);
    result[name] = naiveAggregate(spec.function, values);
  }
  return { ...result, cause: records[index]?.offset ?? -1 };
}

/** An aggregate of whole numbers, or texts, that stand in the total order. */
function naiveAggregate(name: AggregateFunction, values: readonly (number | string)[]): number | string | null {
  const numbers = values.map(Number);
  if (name === 'count') return values.length;
  if (values.length === 0) return null;
  const total = numbers.reduce((sum, value) => sum + value, 0);
  if (name === 'sum') return total;
  if (name === 'avg') return total / numbers.length;
  if (name === 'min') return Math.min(...numbers);
  if (name === 'max') return Math.max(...numbers);
  if (name === 'first') return values[0] ?? null;
  if (name === 'last') return values.at(-1) ?? null;
  if (name === 'distinct') return new Set(values).size;
  if (name === 'collect') return JSON.stringify(values.slice(0, 3));
  throw new RangeError(`the twin has no ${name}`);
}
