import type { Schema } from '../../../engine/record/schema.ts';
import type { FeatureStep } from '../../../features/feature-plan.ts';
import { splitPlan } from '../../../features/split-plan.ts';
import type { CheckedJob } from '../../checked-job.ts';
import type { PatternPlan, SessionsPlan } from '../../plan/pattern-plan.ts';
import type { WindowPlan } from '../../plan/window-plan.ts';

/** What of a job can run where records are kept together by some fields. Plain data. */
export interface StagePart {
  /** Records with the same values of these fields must reach the same state, in order. */
  readonly key: readonly string[];
  /** Of the topic that brings records together by this key; `null`: as the job says. */
  readonly partitions: number | null;
  /** The columns that it is given. */
  readonly inputSchema: Schema;
  readonly sessions: SessionsPlan | null;
  readonly steps: readonly FeatureStep[];
  readonly windows: WindowPlan | null;
  readonly pattern: PatternPlan | null;
  /** The columns that the next part is given. */
  readonly passes: Schema;
}

/** Whether the records of an operator's keys are together where those of `key` are. */
function covers(operatorKey: readonly string[], key: readonly string[]): boolean {
  return key.every((field) => operatorKey.includes(field));
}

/**
 * Whether windows or a pattern of records that are together in the input have a stage of their own nevertheless, behind an exchange, in which what a clock says of an idle partition is recorded: a replay of
 * the input would not find it (ADR 0048).
 */
export function isClockApart({ source, windows, pattern }: CheckedJob): boolean {
  const operator = windows ?? pattern;
  if (source.kind !== 'topic' || source.eventTime.advanceOnIdle !== true || operator === null) return false;
  return operator.definition.closedBy === 'partition';
}

/**
 * Splits what a job does with the records of its source into parts, one for every change of key, in the order in which a record goes through them: sessions, features, windows or the pattern. The
 * first part has the source's key, and may do nothing, as it does where a clock moves what is behind it. A table of all windows (`complete`) is one table, and windows of all records are of one key, so they have one partition.
 */
export function stageParts(job: CheckedJob): readonly StagePart[] {
  const { source, schema, records, sessions, features, windows, pattern, outputMode } = job;
  const parts: StagePart[] = [];
  const nothing = { partitions: null, sessions: null, steps: [], windows: null, pattern: null };
  let key: readonly string[] = [source.key];
  if (sessions !== null && !covers(sessions.definition.key, key)) {
    const passes = records?.outputSchema ?? schema;
    parts.push({ ...nothing, key, inputSchema: schema, passes });
    key = sessions.definition.key;
  }
  for (const [index, part] of splitPlan(features, key).entries()) {
    const inputSchema = index > 0 ? part.inputSchema : (parts.at(-1)?.passes ?? schema);
    const own = index === 0 ? sessions : null;
    parts.push({ ...nothing, key: part.key, inputSchema, sessions: own, steps: part.steps, passes: part.passes });
  }
  const last = parts.at(-1);
  const operator = windows ?? pattern;
  if (last === undefined || operator === null) return parts;
  const isOneTable = windows !== null && (outputMode === 'complete' || windows.definition.key.length === 0);
  const steps = windows?.steps ?? [];
  const { key: operatorKey } = operator.definition;
  if (covers(operatorKey, last.key) && !isOneTable) {
    const whole = { ...last, steps: [...last.steps, ...steps], windows, pattern };
    if (parts.length > 1 || !isClockApart(job)) return [...parts.slice(0, -1), whole];
    const inputSchema = records?.outputSchema ?? schema;
    return [
      { ...nothing, key: last.key, inputSchema: schema, passes: inputSchema },
      { ...whole, inputSchema },
    ];
  }
  const { passes } = last;
  const partitions = isOneTable ? 1 : null;
  return [...parts, { ...nothing, key: operatorKey, partitions, inputSchema: passes, steps, windows, pattern, passes }];
}
