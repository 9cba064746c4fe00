import { createHash } from 'node:crypto';
import type { Schema } from '../engine/record/schema.ts';
import type { FeaturePlan } from '../features/feature-plan.ts';
import type { AmendPlan } from './plan/amend-plan.ts';
import type { LatePolicy, SourceCommon } from './checked-job.ts';
import type { RecordsPlan } from './plan/records-plan.ts';
import type { PatternPlan, SessionsPlan } from './plan/pattern-plan.ts';
import type { WindowPlan } from './plan/window-plan.ts';

/** Changes when the same job file comes to mean another stream. */
const meaningVersion = 1;

/** What decides a job's state, and what its records are given. */
export interface DigestedJob {
  /** Where records come from, as written: the kind and the name. */
  readonly origin: readonly [kind: string, name: unknown];
  readonly source: SourceCommon;
  readonly schema: Schema;
  readonly late: LatePolicy;
  readonly records: RecordsPlan | null;
  readonly sessions: SessionsPlan | null;
  readonly features: FeaturePlan;
  readonly windows: WindowPlan | null;
  readonly pattern: PatternPlan | null;
  readonly amendments: AmendPlan | null;
}

/**
 * SHA-256 (64 hex digits) over what decides a job's state and features: a run goes on from a commit only with the digest that the commit has.
 *
 * Not in it: how the files are formatted, the order of fields and features, sinks and where dead letters go, how often state is flushed, when a partition counts as
 * idle and what comes of it (which is recorded), how far ahead one is read; nor the model and its threshold, which no state depends on: each prediction names the model that made it, and a promotion is no new job.
 */
export function jobDigest(job: DigestedJob): string {
  const { origin, source, schema, late, records, sessions, features, windows, pattern, amendments } = job;
  const { format, avro, rules, key, eventTime, duplicates } = source;
  const fields = schema.fields.map(({ name, type, presence }) => [name, type, presence] as const).toSorted(byName);
  const meaning = {
    meaningVersion,
    origin: sorted(origin),
    format,
    fields,
    // Aliases and defaults of the reader's schema decide what a message in Avro says; in JSON only the fields do.
    ...(format === 'avro' && avro !== null ? { avro: withoutDocs(JSON.parse(avro)) } : {}),
    // Which records are dead letters.
    ...(rules === null ? {} : { rules }),
    key,
    eventTime: [eventTime.field, eventTime.delayMs, eventTime.maxFutureSkewMs],
    duplicates: duplicates === null ? null : [duplicates.by, duplicates.withinMs],
    late: [late.allowedLatenessMs, late.policy],
    features: features.digest,
    ...(windows === null ? {} : { windows: meaningOf(windows) }),
    ...(records === null ? {} : { records: [records.where?.canonical ?? null, records.explode] }),
    ...(sessions === null ? {} : { sessions: Object.entries(sessions.definition).sort(byName) }),
    ...(pattern === null ? {} : { pattern: meaningOfPattern(pattern) }),
    ...(amendments === null ? {} : { amendments: meaningOfAmendments(amendments) }),
  };
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex');
}

/** What of windows decides their state and results; arguments that are expressions are named by what they say. */
function meaningOf({ definition, having }: WindowPlan): unknown {
  const aggregates = definition.aggregates.map(({ name, spec, input, where, carried = [] }) => [
    name,
    Object.entries(spec).sort(byName),
    input,
    where,
    ...carried,
  ]);
  const window = Object.entries(definition.window).sort(byName);
  const { operatorId, key, where, outputMode, lateness, closedBy } = definition;
  return [operatorId, key, window, where, aggregates, outputMode, lateness, closedBy, having?.canonical ?? null];
}

/** What of a pattern decides its state and results. */
function meaningOfPattern({ definition, rules }: PatternPlan): unknown {
  const { operatorId, key, withinMs, closedBy } = definition;
  const selected = rules.select.map(({ name, expression: { canonical } }) => [name, canonical]);
  return [operatorId, key, withinMs, closedBy, rules.first.canonical, rules.followedBy.canonical, selected];
}

/** What of amendments decides their state, and which there are; the features are in the digest already. */
function meaningOfAmendments({ definition }: AmendPlan): unknown {
  const { operatorId, identity, withinMs, watched, closedBy, maxRecordsPerKey, carried } = definition;
  const bound = maxRecordsPerKey === undefined ? [] : [maxRecordsPerKey];
  const further = carried === undefined ? [] : [carried];
  const tolerances = watched.map(({ column, tolerance }) => [column, Object.entries(tolerance).sort(byName)] as const);
  return [operatorId, identity, withinMs, tolerances.toSorted(byName), closedBy, ...bound, ...further];
}

function byName([a]: readonly [string, ...unknown[]], [b]: readonly [string, ...unknown[]]): number {
  return a < b ? -1 : 1;
}

/** The same value with the keys of its mapping in one order. */
function sorted([kind, name]: DigestedJob['origin']): unknown {
  const isMapping = typeof name === 'object' && name !== null;
  return [kind, isMapping ? Object.entries(name).sort(([a], [b]) => (a < b ? -1 : 1)) : name];
}

/** A schema without its comments. */
function withoutDocs(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map((part) => withoutDocs(part));
  if (typeof schema !== 'object' || schema === null) return schema;
  const entries = Object.entries(schema).filter(([name]) => name !== 'doc');
  return Object.fromEntries(entries.map(([name, part]) => [name, withoutDocs(part)]));
}
