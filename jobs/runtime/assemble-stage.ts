import { strict as assert } from 'node:assert';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleQuery, type QueryParts } from './assemble-query.ts';
import type { Stage } from './stages.ts';

/** What a cluster gives a stage of a job to run on. */
export interface StageParts extends QueryParts {
  /** The partition of the stage's input that the task is. */
  readonly partition: number;
  /** Partitions of the topic that the stage before reads: as many tasks write to this one's exchange. Of no matter to the first stage. */
  readonly upstreamPartitions: number;
  /** Partitions of the exchange that the stage writes. Of no matter to the last. */
  readonly downstreamPartitions: number;
}

/**
 * Puts a stage of a job together: the query of one of its tasks. Called once for each acquisition of a task.
 *
 * @param parts `input` is the job's own topic in every stage, since that is what dead letters name; `decoder` is the source's and only the first stage's (an exchange
 *   has its own); `model` and `encoders` are the last stage's.
 */
export function assembleStage(job: CheckedJob, stage: Stage, parts: StageParts): QueryDefinition {
  assert(stage.input === 'source' && stage.output === 'results', 'a job of one stage');
  return { ...assembleQuery(job, parts), jobDigest: stage.digest };
}
