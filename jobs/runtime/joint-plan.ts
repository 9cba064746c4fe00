import { splitPlan } from '../../features/split-plan.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { InputsPlan } from '../inputs-plan.ts';
import { chainLinks } from './chain-links.ts';
import type { JointLink } from './joint-link.ts';
import { isTable } from './open-inputs.ts';

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
  if (job.pattern !== null || job.sessions !== null) return { refused: 'it has a pattern or sessions behind them' };
  const partitions = job.windows !== null && job.outputMode === 'complete' ? 1 : null;
  if (join !== null) {
    const { links, key } = chainLinks(plan, join);
    const isTogether = partitions === 1 || isCovered(job, key);
    if (!isTogether) return { refused: `what is behind its join has another key than the join's, ${key.join(', ')}` };
    return { links: links.map((link, index) => (index < links.length - 1 ? link : { ...link, partitions })) };
  }
  const key = oneKey(job);
  if (key === null) return { refused: 'its features are of several entities' };
  const stream = inputs.at(-1)?.schema;
  const lookedUp = plan.enriched === null ? undefined : key.find((field) => stream?.field(field) === undefined);
  if (lookedUp !== undefined) return { refused: `it keys records by ${lookedUp}, which is looked up` };
  const places = inputs.map((_, input) => (isTable(plan, input) ? 'everywhere' : key));
  return { links: [{ key, partitions, places, results: null, joins: noJoins }] };
}

/** Whether records that are together by `key` are so by an operator's key, too. */
function covers(operatorKey: readonly string[], key: readonly string[]): boolean {
  return key.every((field) => operatorKey.includes(field));
}

/** Whether all operators behind a join find the records of their keys together where the join's are. */
function isCovered({ windows, features }: CheckedJob, key: readonly string[]): boolean {
  if (windows !== null) return covers(windows.definition.key, key);
  return splitPlan(features, key).length === 1;
}

/** The fields that keep records together for all operators of the job; `null` where there are none. */
function oneKey({ source, windows, features }: CheckedJob): readonly string[] | null {
  const own = [source.key];
  if (windows !== null) return covers(windows.definition.key, own) ? own : windows.definition.key;
  const parts = splitPlan(features, own);
  if (parts.length === 1) return own;
  const [first, second] = parts;
  const isOne = parts.length === 2 && first?.steps.every(({ kind }) => kind === 'derive') === true;
  return isOne ? (second?.key ?? null) : null;
}
