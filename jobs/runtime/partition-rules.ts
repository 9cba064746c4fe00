import { SluiceError } from '../../engine/error.ts';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { EventTimeDefinition } from '../plan/source-definition.ts';

/**
 * When the partitions of a job are idle, and how far ahead of each other they are read (ADR 0045): for its query, and for replays of it. Without either where nothing asks for it, so that such a job records
 * nothing, and asks its source nothing.
 *
 * @param partition of a task that reads that one alone: nothing there waits for another partition, and none is ahead of it.
 */
export function partitionRules(job: CheckedJob, partition?: number): Pick<QueryDefinition, 'idle' | 'alignment'> {
  if (partition !== undefined) return {};
  const times = eventTimesOf(job);
  const isAligned = times.some((time) => time?.maxDriftMs !== undefined);
  if (!goesOn(job) && !isAligned && !waitsFor(job, 'others')) return {};
  const schema = job.source.kind === 'inputs' ? job.source.plan.schema : job.schema;
  const idle = times.map((time) => {
    if (time === null) return null;
    return { timeoutMs: time.idleTimeoutMs, watermark: time.advanceOnIdle === true ? 'goes on' : 'stays' } as const;
  });
  const alignment = times.map((time) => (time === null ? 'apart' : (time.maxDriftMs ?? 'free')));
  return { idle: { inputs: idle, schema }, ...(isAligned ? { alignment: { inputs: alignment } } : {}) };
}

/** Of each input, in the order of their numbers; `null` for a table, which waits for nothing and holds nothing back. Called where a query is made. */
export function eventTimesOf({ source }: CheckedJob): readonly (EventTimeDefinition | null)[] {
  if (source.kind !== 'inputs') return [source.eventTime];
  const { inputs, enriched } = source.plan;
  const tables = enriched?.definitions.length ?? 0;
  return inputs.map((input, index) => (index < tables ? null : input.source.eventTime));
}

/** Whether an operator of the job waits for a watermark: for that of other partitions, or for any. */
function waitsFor({ windows, sessions, pattern, source }: CheckedJob, what: 'others' | 'any'): boolean {
  if (source.kind === 'inputs' && source.plan.join !== null) return true;
  return [windows, sessions, pattern].some(
    (plan) => plan !== null && (what === 'any' || plan.definition.closedBy === 'query'),
  );
}

/** Whether the clock moves a watermark that something waits for. */
function goesOn(job: CheckedJob): boolean {
  return eventTimesOf(job).some((time) => time?.advanceOnIdle === true) && waitsFor(job, 'any');
}

/**
 * On a cluster what a clock decides is recorded in exchanges, and those in front of sessions and features have no room for it: their readers would take a mark for a record. Called before anything is opened.
 *
 * @throws {SluiceError} `ADVANCE_ON_IDLE_ON_CLUSTER` for a job with sessions.
 */
export function refuseAdvanceOnIdle(job: CheckedJob): void {
  if (!goesOn(job) || job.sessions === null) return;
  const { name } = job;
  throw new SluiceError(
    'ADVANCE_ON_IDLE_ON_CLUSTER',
    `advanceOnIdle must be false on a cluster for a job with sessions, which a clock would have forgotten there without a record of it; job ${name} has it: leave it out, or run the job with --profile local`,
    { fields: { job: name } },
  );
}
