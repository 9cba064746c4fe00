import type { QueryParts } from '../assemble-query.ts';

/** What a cluster gives a stage of a job to run on. */
export interface StageParts extends QueryParts {
  /** The partition of the stage's input that the task is. */
  readonly partition: number;
  /** Partitions of the topic that the stage before reads: as many tasks write to this one's exchange. Of no matter to the first stage. */
  readonly upstreamPartitions: number;
  /** As many tasks of each of several inputs, and of the stage whose results meet them (`upstreamsOf`), write to the exchange that the stage reads; absent for jobs of one. */
  readonly upstreams?: readonly number[];
  /** Partitions of the exchange that the stage writes. Of no matter to the last. */
  readonly downstreamPartitions: number;
}
