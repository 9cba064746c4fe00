import { createHash } from 'node:crypto';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import { markedSchema } from '../../../engine/exchange/exchange-marks.ts';
import { Schema, type Field } from '../../../engine/record/schema.ts';
import type { HoldRule } from '../../../engine/time/partition-watermarks.ts';
import { retentionMs, type FeatureStep } from '../../../features/feature-plan.ts';
import type { CheckedJob } from '../../checked-job.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';
import type { PatternPlan, SessionsPlan } from '../../plan/pattern-plan.ts';
import { windowReachMs, type WindowPlan } from '../../plan/window-plan.ts';
import { linkSchema, type JointLink } from './joint-link.ts';
import { jointPlan } from './joint-plan.ts';
import { stageParts, type StagePart } from './stage-parts.ts';
import { arrivalsIdOf } from '../../../operators/flow/arrival-numbers.ts';

/**
 * Nothing in an exchange is deleted by age unless somebody says so: its messages have the timestamps of the records in the job's input, so that a backfill's would be
 * gone at once. Whoever limits the input's retention may give the exchange the same.
 */
const exchangeSettings = { 'cleanup.policy': 'delete', 'retention.ms': '-1' } as const;

/** A topic between two stages: records with what the former has computed, partitioned by the key of the latter. */
export interface Exchange {
  readonly topic: string;
  /** The fields that it is partitioned by. */
  readonly key: readonly string[];
  /** As the job or what reads it says; `null`: as many as the job's input has. */
  readonly partitions: number | null;
  /** Whether each record goes to its key's partition, or to all of them, as a table's do. */
  readonly spread: 'by key' | 'everywhere';
  /** Whether something behind it waits for all who write to it, so that they say how far they have come where they have no records. */
  readonly waits: 'nothing' | 'for all';
  /** What the topic is created with, by Kafka's names. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * A part of a job that one group of workers runs, each partition of its input on its own, with state of its own. A job whose features are all keyed by its
 * topic's key is one stage. Plain data; `assembleStage` makes a query of it.
 */
export interface Stage {
  /** Follows the job's name in the names of groups, transactions and state: empty for the first, so that a job of one stage is called as it is. */
  readonly suffix: string;
  /** The fields whose values keep records together in this stage. */
  readonly key: readonly string[];
  /** Where records come from: the job's own source, or an exchange. */
  readonly input: 'source' | Exchange;
  /** Which of the job's inputs that is, where it is the source; 0 for a job of one. */
  readonly origin: number;
  /** Where they go: to the job's topics, scored where the job scores, or to an exchange. */
  readonly output: 'results' | Exchange;
  /** The columns that its steps are given. */
  readonly inputSchema: Schema;
  /** `null` where it tells none. */
  readonly sessions: SessionsPlan | null;
  readonly steps: readonly FeatureStep[];
  /** `null` where it has none; otherwise it is the last. */
  readonly windows: WindowPlan | null;
  /** As `windows`. */
  readonly pattern: PatternPlan | null;
  /** The ids of its operators that keep state, in the order in which records go through them, beside what drops repeated records. */
  readonly operators: readonly string[];
  /** The columns that it hands to the next stage; the last: every column of the job's features. */
  readonly outputSchema: Schema;
  /** Its part in bringing several inputs together; absent where the job has one. */
  readonly joint?: JointPart;
  /** Of everything that decides its state; committed with every batch in the place of the job's. */
  readonly digest: string;
}

/** Which links a stage of a job of several inputs is between. */
export interface JointPart {
  /** The one whose records it reads and works on; `null` for a stage that reads an input. */
  readonly reads: JointLink | null;
  /** The one that it hands them to; `null` for the last. */
  readonly writes: JointLink | null;
}

/**
 * The stages that a job is split into where each partition has state of its own, in the order in which a record goes through them: a stage for every
 * change of key. Called when a job is opened on a cluster, and by `explain`.
 */
export function planStages(job: CheckedJob): readonly Stage[] {
  const { source, features } = job;
  if (source.kind === 'inputs') return planJointStages(job, source.plan);
  // What is no topic is read by one task, which has all keys.
  if (source.kind !== 'topic') return [wholeJob(job)];
  const parts = stageParts(job);
  if (parts.length === 1) return [wholeJob(job)];
  const names = exchangeNames(parts.map(({ key }) => key));
  const exchanges = parts.map(({ key, partitions }, index): Exchange => ({
    topic: `${job.app}.${job.name}.exchange.${names[index] ?? ''}`,
    key,
    partitions: partitions ?? job.exchange.partitions,
    spread: 'by key',
    waits: waitsOf(job),
    settings: exchangeSettings,
  }));
  const marked = (columns: Schema): Schema =>
    waitsOf(job) === 'nothing' ? columns : markedSchema(columns, source.eventTime.field);
  return parts.map((part, index) => {
    const { key, inputSchema, sessions, steps, windows, pattern, passes } = part;
    const [input, output] = [exchanges[index], exchanges[index + 1]];
    return {
      suffix: index === 0 ? '' : `.${names[index] ?? ''}`,
      key,
      input: index === 0 || input === undefined ? 'source' : input,
      origin: 0,
      output: output ?? 'results',
      inputSchema: index === 0 ? inputSchema : marked(inputSchema),
      sessions,
      steps,
      windows,
      pattern,
      operators: operatorsOf(part),
      outputSchema: output === undefined ? features.outputSchema : marked(passes),
      digest: stageDigest(job, key, index, operatorsOf(part)),
    };
  });
}

/** Whether an operator of a job lets something wait, or be forgotten, by what all partitions have passed. */
function waitsOf({ windows, pattern, source }: CheckedJob): Exchange['waits'] {
  const isJoined = source.kind === 'inputs' && source.plan.join !== null;
  return windows !== null || pattern !== null || isJoined ? 'for all' : 'nothing';
}

/**
 * A stage for each input, which does nothing but bring its records to an exchange, and one behind each exchange that works on all that meet there: how their records interleave is then recorded, as that
 * of partitions is, and survives the loss of the state.
 */
function planJointStages(job: CheckedJob, plan: InputsPlan): readonly Stage[] {
  const joint = jointPlan(job, plan);
  if ('refused' in joint) return [wholeJob(job)];
  const { links } = joint;
  const [, ...names] = exchangeNames([[job.source.key], ...links.map(({ key }) => key)]);
  const exchangeOf = (index: number, place: readonly string[] | 'everywhere'): Exchange => ({
    topic: `${job.app}.${job.name}.exchange.${names[index] ?? ''}`,
    key: place === 'everywhere' ? [] : place,
    partitions: links[index]?.partitions ?? job.exchange.partitions,
    spread: place === 'everywhere' ? 'everywhere' : 'by key',
    waits: waitsOf(job),
    settings: exchangeSettings,
  });
  const none = { sessions: null, windows: null, pattern: null, steps: [] };
  const inputs = plan.inputs.flatMap((input, origin): Stage[] => {
    const index = links.findIndex(({ places }) => (places[origin] ?? null) !== null);
    const [writes, place] = [links[index], links[index]?.places[origin] ?? null];
    if (writes === undefined || place === null) return [];
    const own = {
      suffix: `.in.${input.name}`,
      key: [input.source.key],
      digest: stageDigest(job, writes.key, origin, []),
    };
    const passes = jointSchema(plan, writes);
    const part: JointPart = { reads: null, writes };
    const output = exchangeOf(index, place);
    return [
      {
        ...none,
        ...own,
        input: 'source',
        origin,
        output,
        inputSchema: input.schema,
        operators: [],
        outputSchema: passes,
        joint: part,
      },
    ];
  });
  const { features, sessions, windows, pattern } = job;
  const behind = operatorsOf({ sessions, steps: features.steps, windows, pattern });
  const joints = links.map((link, index): Stage => {
    const next = links[index + 1] ?? null;
    const operators = [...joinsOf(plan, link), ...(next === null ? behind : [])];
    const last = { sessions, steps: features.steps, windows, pattern, outputSchema: features.outputSchema };
    return {
      ...(next === null ? last : { ...none, outputSchema: jointSchema(plan, next) }),
      suffix: `.${names[index] ?? ''}`,
      key: link.key,
      input: exchangeOf(index, link.key),
      origin: 0,
      output: next === null ? 'results' : exchangeOf(index + 1, next.results ?? []),
      inputSchema: jointSchema(plan, link),
      operators,
      joint: { reads: link, writes: next },
      digest: stageDigest(job, link.key, plan.inputs.length + index, operators),
    };
  });
  return [...inputs, ...joints];
}

/** The ids of what a link does with the records that meet there: its joins, whose results are numbered where the next one keeps them, or the look-ups. */
function joinsOf({ join, enriched }: InputsPlan, { joins: { from, to } }: JointLink): readonly string[] {
  if (join === null) return enriched?.definitions.map(({ operatorId }) => operatorId) ?? [];
  return [...join.before, join].slice(from, to).flatMap(({ definition: { operatorId } }, index) => {
    return index < to - from - 1 ? [operatorId, arrivalsIdOf(operatorId)] : [operatorId];
  });
}

/** What the exchange of a link carries: its columns, any of which another input's record has not, and the event time. */
function jointSchema(plan: InputsPlan, link: JointLink): Schema {
  const fields = linkSchema(plan, link).fields.map(({ name, type }): Field => ({ name, type, presence: 'optional' }));
  return new Schema([...fields, { name: passengers.eventTime, type: 'timestamp', presence: 'required' }]);
}

/** The ids of the operators of a stage that keep state, beside what drops repeated records, in the order in which records go through them. */
function operatorsOf({
  sessions,
  steps,
  windows,
  pattern,
}: Pick<StagePart, 'sessions' | 'steps' | 'windows' | 'pattern'>): readonly string[] {
  const rolling = steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition.operatorId] : []));
  const others = [sessions, windows, pattern].map((plan) => (plan === null ? [] : [plan.definition.operatorId]));
  const [first = [], ...last] = others;
  return [...first, ...rolling, ...last.flat()];
}

/** Whether a stage has state that a restart must have, or make anew from what it reads. */
export function keepsState({ source }: CheckedJob, { operators, input }: Stage): boolean {
  // The repeated records of several inputs are dropped where these meet.
  if (source.kind === 'inputs' && input !== 'source' && source.plan.duplicates.some((column) => column !== null)) {
    return true;
  }
  return operators.length > 0 || (source.duplicates !== null && input === 'source');
}

/** An outage of one writer up to this long costs no answer its exactness, however short the windows are. */
const shortestHoldMs = 86_400_000;

/**
 * How what all writers to a stage have passed is found. A writer that is behind holds the others back for as long as records count for something there, so that state at most doubles; where windows close, or a
 * pattern's beginnings are forgotten, for as long as it takes, since its records would be lost.
 *
 * @param writers how many tasks write to the exchange that the stage reads.
 */
export function holdRule({ steps, sessions, windows, pattern }: Stage, writers: number): HoldRule {
  const kept = steps.map((step) => (step.kind === 'rolling' ? retentionMs(step.definition) : 0));
  const { gapMs = 0 } = sessions?.definition ?? {};
  const { withinMs = 0 } = pattern?.definition ?? {};
  const windowsMs = windows === null ? 0 : windowReachMs(windows.definition);
  const maxLagMs = Math.max(shortestHoldMs, gapMs, withinMs, windowsMs, ...kept);
  return windows === null && pattern === null ? { writers, maxLagMs } : { writers, maxLagMs, heard: 'unbounded' };
}

function wholeJob({ source, sessions, features, windows, pattern, amendments, digest }: CheckedJob): Stage {
  const { inputSchema, outputSchema } = features;
  const steps = [...features.steps, ...(windows?.steps ?? [])];
  return {
    suffix: '',
    key: [source.key],
    input: 'source',
    origin: 0,
    output: 'results',
    inputSchema,
    sessions,
    steps,
    windows,
    pattern,
    operators: [
      ...operatorsOf({ sessions, steps, windows, pattern }),
      ...(amendments === null ? [] : [amendments.definition.operatorId]),
    ],
    outputSchema,
    digest,
  };
}

/** A name of each part's key that Kafka takes in a topic's name; where two would have the same, their places are added. */
function exchangeNames(keys: readonly (readonly string[])[]): readonly string[] {
  const names = keys.map((key) => key.map((field) => field.replaceAll(/[^A-Za-z0-9_-]/g, '_')).join('-'));
  return names.map((name, index) => (names.indexOf(name, 1) === index ? name : `${name}-${index + 1}`));
}

/** What a stage's state depends on beside the job: which of its operators are in the stage, and what keeps their records together. */
function stageDigest(
  { digest, exchange }: CheckedJob,
  key: readonly string[],
  index: number,
  operators: readonly string[],
): string {
  return createHash('sha256')
    .update(JSON.stringify([digest, exchange.partitions, index, key, operators]))
    .digest('hex');
}
