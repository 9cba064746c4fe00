import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { acrossWriters } from './across-writers.ts';
import { eventTimesOf } from '../partition-rules.ts';
import { isClockApart } from './stage-parts.ts';
import { planStages, type Exchange, type Stage } from './stages.ts';

/**
 * When the partition of a task that reads an input is idle, where something behind the exchange that it writes to waits for it (ADR 0048): for its query, which says so in marks. Without it where nothing waits, and for
 * tables, which hold nothing back.
 *
 * @param schema of what the query's `score` is given.
 */
export function handedOnIdle(
  job: CheckedJob,
  { origin }: Stage,
  { waits, spread }: Exchange,
  schema: Schema,
): Pick<QueryDefinition, 'idle'> {
  const time = eventTimesOf(job)[origin] ?? null;
  if (waits === 'nothing' || spread === 'everywhere' || time === null) return {};
  const watermark = time.advanceOnIdle === true ? 'goes on' : 'stays';
  // Operators keep what they were told with their state; a stage that only passes watermarks on has none for it.
  const heardBy = job.source.kind !== 'inputs' && planStages(job).length > 2 ? 'later stages' : 'next stage';
  return { idle: { inputs: [{ timeoutMs: time.idleTimeoutMs, watermark }], heardBy, schema } };
}

/**
 * Whether a stage that reads one exchange and writes another leaves idle writers out of what it says to have passed. Features that are computed behind it know nothing of idleness, and so it is
 * waited for there.
 */
export function idleWriters(job: CheckedJob, stage: Stage): 'left out' | 'waited for' {
  const stages = planStages(job);
  const behind = stages.slice(stages.findIndex(({ suffix }) => suffix === stage.suffix) + 1);
  const forgets = ({ sessions, steps }: Stage): boolean =>
    sessions !== null || steps.some(({ kind }) => kind === 'rolling');
  return behind.some(forgets) ? 'waited for' : 'left out';
}

/**
 * The operators of a stage behind an exchange go by the watermarks of all who write to it; but where the stage is apart only because of the clock, each key's records are of one partition still, and it is
 * closed by that partition's, as in one process. Who writes to a stage behind two exchanges has records of several partitions, whose watermarks none of these records tells: there marks alone move them on.
 */
export function closedBehind(job: CheckedJob, stage: Stage): Pick<Stage, 'sessions' | 'windows' | 'pattern'> {
  const { sessions, windows, pattern } = stage;
  const isSecond = planStages(job)[1]?.suffix === stage.suffix;
  if (isSecond && isClockApart(job)) return { sessions, windows, pattern };
  const behind = isSecond ? acrossWriters : told;
  return {
    sessions: sessions === null ? null : behind(sessions),
    windows: windows === null ? null : behind(windows),
    pattern: pattern === null ? null : behind(pattern),
  };
}

/** An operator that goes by what it is told alone: no record says by its time how far its writer is. */
function told<
  Plan extends { readonly definition: { readonly closedBy: 'partition' | 'query'; readonly delayMs: number } },
>(plan: Plan): Plan {
  const across = acrossWriters(plan);
  return { ...across, definition: { ...across.definition, delayMs: Infinity } };
}
