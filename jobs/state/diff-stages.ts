import { diffLayouts, type LayoutDiff, type OperatorFate } from './diff-layouts.ts';
import type { JobLayout } from './job-layout.ts';
import type { StageLayout } from './stage-layouts.ts';

/** What becomes of a job's stages on a cluster when its files are changed. */
export interface StagesDiff {
  /** What cannot be there, beside what can be nowhere, in words; with these the job does not start. */
  readonly refusals: readonly string[];
  /** By stage, in their order: `serve`, the state is kept; `rebuild`, all of it is made anew from what the stage reads. */
  readonly fates: readonly ('serve' | 'rebuild')[];
}

/** Of the rules by which records reach the operators, the one that what an exchange holds does not depend on. */
const ruleBehindExchanges = 'late.allowedLateness';

/**
 * What becomes of the state of the stages of `old` when the job is run as `next` on a cluster. Between stages records are under way that the former job has written, and an exchange is what its readers'
 * state is made anew from: so what it holds must be what the changed job would have written, as far as state depends on it.
 *
 * @param diff of the two layouts.
 */
export function diffStages(old: JobLayout, next: JobLayout, diff: LayoutDiff): StagesDiff {
  const [before, now] = [old.stages ?? [], next.stages ?? []];
  const rebuilt = new Set(diff.operators.filter(({ fate }) => fate === 'rebuilt').map(({ operator }) => operator));
  if (before.length === 0 && now.length === 0) return { refusals: [], fates: [rebuilt.size > 0 ? 'rebuild' : 'serve'] };
  if (before.map(({ place }) => place).join() !== now.map(({ place }) => place).join()) {
    return {
      refusals: [
        `on a cluster the job must stay split into ${namesOf(before)}, as records are under way between its stages; got ${namesOf(now)}. Give the job another name, and it begins anew`,
      ],
      fates: [],
    };
  }
  const refusals = [
    ...ruleRefusals(old, next),
    ...now.flatMap((stage, index) => exchangeRefusals(before[index] ?? stage, stage)),
  ];
  const named = new Set(now.flatMap(({ operators }) => operators));
  const inputs = now.filter(({ columns }) => columns.length === 0).length;
  const fates = now.map(({ operators, columns }) => {
    // What no stage names, as what drops repeated records, is in the first; where that only passes several inputs on, behind it.
    const isFirst = inputs > 1 ? columns.length > 0 : columns.length === 0;
    const isOwn = (id: string): boolean => operators.includes(id) || (isFirst && !named.has(id));
    return [...rebuilt].some(isOwn) ? 'rebuild' : 'serve';
  });
  return { refusals, fates };
}

/**
 * What becomes of a job on a cluster, as {@link diffLayouts} has it for the embedded profile: there each task's state is rebuilt as a whole, from where the task began.
 */
export function diffOnCluster(old: JobLayout, next: JobLayout): LayoutDiff {
  const diff = diffLayouts(old, next);
  if (diff.outcome === 'refused') return diff;
  const { refusals, fates } = diffStages(old, next, diff);
  if (refusals.length > 0) return { ...diff, outcome: 'refused', refusals };
  if (!fates.includes('rebuild')) return diff;
  const stages = next.stages ?? [];
  const operators = diff.operators.map((each): OperatorFate => {
    const own = stages.findIndex((stage) => stage.operators.includes(each.operator));
    if (each.fate === 'dropped' || fates[Math.max(0, own)] !== 'rebuild') return each;
    const words = each.fate === 'rebuilt' ? each.words : 'is rebuilt with the others of its tasks';
    return { ...each, fate: 'rebuilt', words, reachMs: null };
  });
  return { ...diff, operators };
}

function ruleRefusals({ rules: before }: JobLayout, { rules: now }: JobLayout): readonly string[] {
  return [...new Set([...Object.keys(before), ...Object.keys(now)])]
    .filter((name) => name !== ruleBehindExchanges && before[name] !== now[name])
    .map(
      (name) =>
        `on a cluster ${name} must stay ${before[name] ?? 'none'} in a job of several stages, whose exchanges hold what came of it; got ${now[name] ?? 'none'}. Give the job another name`,
    );
}

function exchangeRefusals(before: StageLayout, now: StageLayout): readonly string[] {
  const name = nameOf(now);
  if (before.columns.join() !== now.columns.join()) {
    const more = now.columns.filter((column) => !before.columns.includes(column));
    const gone = before.columns.filter((column) => !now.columns.includes(column));
    const words = [
      ...(more.length === 0 ? [] : [`does not hold ${more.join(', ')}`]),
      ...(gone.length === 0 ? [] : [`holds ${gone.join(', ')} still`]),
      ...(more.length + gone.length > 0 ? [] : ['holds them in another order']),
    ];
    return [
      `on a cluster the exchange before the stage ${name} must carry the same columns, as records are under way; it ${words.join(', and ')}. Give the job another name`,
    ];
  }
  const changed = now.feeds.filter((column) => before.holds[column] !== now.holds[column]);
  return changed.map(
    (column) =>
      `on a cluster ${column} must stay what it was, as state of the stage ${name} is computed from it and its exchange holds the former values. Give the feature a new name, or the job`,
  );
}

function namesOf(stages: readonly StageLayout[]): string {
  return stages.length === 0 ? 'one stage' : stages.map(nameOf).join(' and ');
}

/** A stage in words: its name behind the job's. */
function nameOf({ place }: StageLayout): string {
  const [suffix, key] = JSON.parse(place) as readonly [string, readonly string[]];
  return suffix === '' ? `by ${key.join(' + ')}` : suffix.slice(1);
}
