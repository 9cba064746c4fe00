import { splitPlan } from '../../../features/split-plan.ts';
import type { CheckedJob } from '../../checked-job.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';
import { chainLinks } from './chain-links.ts';
import type { JointLink } from './joint-link.ts';
import { isTable } from '../open-inputs.ts';

/** How the records of several inputs come together, in the order in which they go through. */
export interface JointPlan {
  readonly links: readonly JointLink[];
}

/** Why a job of several inputs does not run on a cluster. */
export interface NotJoint {
  readonly refused: string;
}

const noJoins = { from: 0, to: 0 } as const;

/**
 * By what the inputs of a job are brought together on a cluster: everything that the job does with their records is done behind an exchange, in tasks that have all records of their keys; a join by
 * another key than the one before it behind a further one. Called when stages are planned, and by whoever says why there are none.
 */
export function jointPlan(job: CheckedJob, plan: InputsPlan): JointPlan | NotJoint {
  const { inputs, join } = plan;
  const file = inputs.find(({ source }) => source.kind !== 'topic');
  if (file !== undefined)
    return { refused: `its input ${file.name} is a file, which workers do not share; write its records to a topic` };
  const copied = inputs.find(({ copyOf }) => copyOf !== null);
  if (copied !== undefined) {
    return {
      refused: `its table ${copied.name} is copied from ClickHouse; leave "copyOf" out where something else fills its topic`,
    };
  }
  const partitions = isOneTable(job) ? 1 : null;
  if (join !== null) {
    const { links, key } = chainLinks(plan, join);
    const isTogether = partitions === 1 || isTogetherBy(job, key);
    if (!isTogether) return { refused: `what is behind its join has another key than the join's, ${key.join(', ')}` };
    return { links: links.map((link, index) => (index < links.length - 1 ? link : { ...link, partitions })) };
  }
  const key = oneKey(job);
  if (key === null)
    return { refused: `no field is in the key of all that it does with their records (${keyWords(job)})` };
  const read = plan.enriched === null ? plan.schema : inputs.at(-1)?.schema;
  const made = key.find((field) => read?.field(field) === undefined);
  if (made !== undefined) {
    const isLookedUp = plan.enriched?.outputSchema.field(made) !== undefined;
    return { refused: `it keys records by ${made}, which is ${isLookedUp ? 'looked up' : 'taken out of a list'}` };
  }
  const places = inputs.map((_, input) => (isTable(plan, input) ? 'everywhere' : key));
  return { links: [{ key, partitions, places, results: null, joins: noJoins }] };
}

/** Whether records that are together by `key` are so by an operator's key, too. */
function covers(operatorKey: readonly string[], key: readonly string[]): boolean {
  return key.every((field) => operatorKey.includes(field));
}

/** Whether all windows are one table, or of all records: one task has them. */
function isOneTable({ windows, outputMode }: CheckedJob): boolean {
  return windows !== null && (outputMode === 'complete' || windows.definition.key.length === 0);
}

/** Whether all operators of a job find the records of their keys together where those of `key` are. */
function isTogetherBy({ sessions, windows, pattern, features }: CheckedJob, key: readonly string[]): boolean {
  const finds = [sessions, windows, pattern].every((plan) => plan === null || covers(plan.definition.key, key));
  return finds && splitPlan(features, key).length === 1;
}

/** The fields that keep records together for all operators of the job: the key of its source, or that of one of them; `null` where there are none. */
function oneKey(job: CheckedJob): readonly string[] | null {
  const own = [job.source.key];
  const keys = [own, ...operatorKeys(job).map(({ key }) => key)];
  return keys.find((key) => isTogetherBy(job, key)) ?? null;
}

/** The keys of a job's operators. */
function operatorKeys({
  sessions,
  windows,
  pattern,
  features,
}: CheckedJob): readonly { readonly of: string; readonly key: readonly string[] }[] {
  const rolling = features.steps.flatMap((step) => (step.kind === 'rolling' ? [step] : []));
  return [
    ...(windows === null ? [] : [{ of: 'windows', key: windows.definition.key }]),
    ...(pattern === null ? [] : [{ of: 'pattern', key: pattern.definition.key }]),
    ...rolling.map(({ definition: { operatorId: of, key } }) => ({ of, key })),
    ...(sessions === null ? [] : [{ of: 'sessions', key: sessions.definition.key }]),
  ];
}

function keyWords(job: CheckedJob): string {
  const words = operatorKeys(job).map(({ of, key }) => `${of} by ${key.join(' + ')}`);
  return [...new Set(words)].join(', ');
}
