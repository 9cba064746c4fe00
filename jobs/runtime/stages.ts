import { createHash } from 'node:crypto';
import type { Schema } from '../../engine/record/schema.ts';
import type { FeatureStep } from '../../features/feature-plan.ts';
import { splitPlan } from '../../features/split-plan.ts';
import type { CheckedJob } from '../checked-job.ts';

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
  /** As the job says; `null`: as many as the job's input has. */
  readonly partitions: number | null;
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
  /** Where they go: to the job's topics, scored where the job scores, or to an exchange. */
  readonly output: 'results' | Exchange;
  /** The columns that its steps are given. */
  readonly inputSchema: Schema;
  readonly steps: readonly FeatureStep[];
  /** The columns that it hands to the next stage; the last: every column of the job's features. */
  readonly outputSchema: Schema;
  /** Of everything that decides its state; committed with every batch in the place of the job's. */
  readonly digest: string;
}

/**
 * The stages that a job is split into where each partition has state of its own, in the order in which a record goes through them: a stage for every
 * change of entity. Called when a job is opened on a cluster, and by `explain`.
 */
export function planStages(job: CheckedJob): readonly Stage[] {
  const { source, features } = job;
  // What is no topic is read by one task, which has all keys; windows, sessions and patterns run nowhere else yet.
  const { windows, records, sessions, pattern } = job;
  const explodes = records !== null && records.explode !== null;
  if (source.kind !== 'topic' || windows !== null || sessions !== null || pattern !== null || explodes)
    return [wholeJob(job)];
  const parts = splitPlan(features, source.key);
  if (parts.length === 1) return [wholeJob(job)];
  const names = exchangeNames(parts.map(({ key }) => key));
  const exchanges = parts.map(({ key }, index): Exchange => ({
    topic: `${job.app}.${job.name}.exchange.${names[index] ?? ''}`,
    key,
    partitions: job.exchange.partitions,
    settings: exchangeSettings,
  }));
  return parts.map(({ key, inputSchema, steps, passes }, index) => {
    const [input, output] = [exchanges[index], exchanges[index + 1]];
    return {
      suffix: index === 0 ? '' : `.${names[index] ?? ''}`,
      key,
      input: index === 0 || input === undefined ? 'source' : input,
      output: output ?? 'results',
      inputSchema,
      steps,
      outputSchema: output === undefined ? features.outputSchema : passes,
      digest: stageDigest(job, key, index, steps),
    };
  });
}

function wholeJob({ source, features, digest }: CheckedJob): Stage {
  const { inputSchema, steps, outputSchema } = features;
  return {
    suffix: '',
    key: [source.key],
    input: 'source',
    output: 'results',
    inputSchema,
    steps,
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
  steps: readonly FeatureStep[],
): string {
  const operators = steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition.operatorId] : []));
  return createHash('sha256')
    .update(JSON.stringify([digest, exchange.partitions, index, key, operators]))
    .digest('hex');
}
