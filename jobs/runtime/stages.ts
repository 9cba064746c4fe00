import type { Schema } from '../../engine/record/schema.ts';
import type { FeatureStep } from '../../features/feature-plan.ts';
import type { CheckedJob } from '../checked-job.ts';

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
  /** Of everything that decides its state; committed with every batch in the place of the job's. */
  readonly digest: string;
}

/**
 * The stages that a job is split into where each partition has state of its own, in the order in which a record goes through them: a stage for every
 * change of entity. Called when a job is opened on a cluster, and by `explain`.
 */
export function planStages(job: CheckedJob): readonly Stage[] {
  const { inputSchema, steps } = job.features;
  return [
    {
      suffix: '',
      key: [job.source.key],
      input: 'source',
      output: 'results',
      inputSchema,
      steps,
      digest: job.digest,
    },
  ];
}
