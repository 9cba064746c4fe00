import { formatDuration } from '../../engine/time/duration.ts';
import type { JobLayout, OperatorLayout } from './job-layout.ts';

/** What becomes of an operator's state when the job is changed. */
export interface OperatorFate {
  readonly operator: string;
  readonly fate: 'kept' | 'rebuilt' | 'dropped' | 'refused';
  /** Why, in words. */
  readonly words: string;
  /** `rebuilt`: how far behind the watermark the log is needed; `null`: from where the job began. */
  readonly reachMs: number | null;
}

/** What becomes of a job's state when its files are changed. */
export interface LayoutDiff {
  /** `same`: nothing that decides state or features has changed. `kept`: all state is kept. `rebuilt`: some is made anew from the log first. `refused`: the job does not start. */
  readonly outcome: 'same' | 'kept' | 'rebuilt' | 'refused';
  readonly operators: readonly OperatorFate[];
  /** What cannot be, in words; with these the job does not start. */
  readonly refusals: readonly string[];
  /** What changes without touching state. */
  readonly notes: readonly string[];
}

/**
 * What becomes of the state of `old` when the job is run as `next`. The rule: a changed job goes on with exactly the state that it would have if it had been this job from the beginning; where
 * that can be computed from the log it is, and where readers could not tell that a name has come to mean another thing, it is refused. Used by `sluice plan --diff` and by every start on a state
 * that another digest has left, so that they say and do the same.
 */
export function diffLayouts(old: JobLayout, next: JobLayout): LayoutDiff {
  if (old.digest === next.digest) return { outcome: 'same', operators: unchanged(next), refusals: [], notes: [] };
  const notes: string[] = [];
  const refusals = [...inputRefusals(old, next), ...featureRefusals(old, next, notes)];
  const changedRules = changes(old.rules, next.rules);
  const operators = operatorFates(old, next, changedRules);
  for (const { operator, fate, words } of operators)
    if (fate === 'refused') refusals.push(`operator ${operator} ${words}`);
  for (const name of Object.keys(next.fields)) if (!(name in old.fields)) notes.push(`field ${name} is new`);
  for (const name of Object.keys(old.fields)) if (!(name in next.fields)) notes.push(`field ${name} is gone`);
  const needsLog = operators.some(({ fate }) => fate === 'rebuilt');
  return { outcome: refusals.length > 0 ? 'refused' : needsLog ? 'rebuilt' : 'kept', operators, refusals, notes };
}

function unchanged({ operators }: JobLayout): readonly OperatorFate[] {
  return operators.map(({ id }) => ({ operator: id, fate: 'kept', words: 'keeps its state', reachMs: null }));
}

function inputRefusals(old: JobLayout, next: JobLayout): readonly string[] {
  const moved = changes(old.input, next.input).map(
    ([name, before, after]) =>
      `${name} must stay ${before}; got ${after}. Give the job another name, and it begins anew`,
  );
  const retyped = changes(old.fields, next.fields)
    .filter(([, before, after]) => before !== undefined && after !== undefined)
    .map(([name, before, after]) => `field ${name} must stay a ${before}; got ${after}. Give the field another name`);
  return [...moved, ...retyped];
}

function featureRefusals(old: JobLayout, next: JobLayout, notes: string[]): readonly string[] {
  const before = new Map(old.features.map((feature) => [feature.name, feature]));
  const refusals: string[] = [];
  for (const feature of next.features) {
    const { name, kind, meaning } = feature;
    const former = before.get(name);
    before.delete(name);
    if (former === undefined) {
      notes.push(`feature ${name} is new`);
    } else if (former.meaning === meaning && former.window !== feature.window) {
      notes.push(`feature ${name} is over ${feature.window ?? ''} instead of ${former.window ?? ''}`);
    } else if (former.meaning !== meaning) {
      const reads = kind === 'rolling' ? 'aggregates another thing' : 'is another expression';
      const isHarmless = kind === 'derived' && former.kind === 'derived' && !feature.feedsState && !former.feedsState;
      if (isHarmless) notes.push(`feature ${name} ${reads} from the start on`);
      else
        refusals.push(
          `feature ${name} ${reads} (${former.meaning} → ${meaning}) under the name it had: give it a new name`,
        );
    }
  }
  for (const name of before.keys()) notes.push(`feature ${name} is gone`);
  return refusals;
}

type Change = readonly [name: string, before: string | undefined, after: string | undefined];

function changes(old: Readonly<Record<string, string>>, next: Readonly<Record<string, string>>): readonly Change[] {
  return [...new Set([...Object.keys(old), ...Object.keys(next)])]
    .map((name): Change => [name, old[name], next[name]])
    .filter(([, before, after]) => before !== after);
}

function operatorFates(old: JobLayout, next: JobLayout, rules: readonly Change[]): readonly OperatorFate[] {
  const before = new Map(old.operators.map((operator) => [operator.id, operator]));
  const because = rules.map(([name, was, is]) => `${name} is ${is ?? 'none'} instead of ${was ?? 'none'}`).join(', ');
  const fates = next.operators.map((operator): OperatorFate => {
    const former = before.get(operator.id);
    before.delete(operator.id);
    const { id, reachMs } = operator;
    const refusal = former === undefined ? null : refusalOf(former, operator);
    if (refusal !== null) return { operator: id, fate: 'refused', words: refusal, reachMs };
    const reason =
      former === undefined ? 'is new' : (rebuildReason(former, operator) ?? (because === '' ? null : because));
    if (reason === null) return { operator: id, fate: 'kept', words: 'keeps its state', reachMs };
    return { operator: id, fate: 'rebuilt', words: reason, reachMs };
  });
  const dropped = [...before.keys()].map((operator): OperatorFate => {
    return { operator, fate: 'dropped', words: 'is in the job no more', reachMs: null };
  });
  return [...fates, ...dropped];
}

function refusalOf(former: OperatorLayout, { kind, key, identity }: OperatorLayout): string | null {
  if (former.kind !== kind) return `must stay of the kind ${former.kind}; got ${kind}`;
  if (former.key.join() !== key.join()) return `must stay keyed by ${former.key.join(', ')}; got ${key.join(', ')}`;
  return former.identity === identity
    ? null
    : `must stay ${former.identity}; got ${identity}. Give the job another name`;
}

function rebuildReason(former: OperatorLayout, { layout, keepsMs }: OperatorLayout): string | null {
  if (former.layout !== layout) return 'keeps other columns, or columns of other values';
  const isLonger = keepsMs === null ? former.keepsMs !== null : former.keepsMs !== null && keepsMs > former.keepsMs;
  return isLonger ? `keeps rows for ${lengthOf(keepsMs)} instead of ${lengthOf(former.keepsMs)}` : null;
}

/** A length of time in words. */
function lengthOf(keepsMs: number | null): string {
  return keepsMs === null ? 'as long as it needs' : formatDuration(keepsMs);
}
