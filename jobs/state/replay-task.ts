import { strict as assert } from 'node:assert';
import type { Encoder } from '../../engine/serde/encoder.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleStage } from '../runtime/stages/assemble-stage.ts';
import type { Stage } from '../runtime/stages/stages.ts';
import { noCommits, replayBatchRecords, replayQuery, type ReplayedLog, type ReplayedState } from './replay-state.ts';

/** A task of a stage on a cluster. */
export interface ReplayedTask extends ReplayedLog {
  readonly stage: Stage;
  /** The partition of the stage's input that it is. */
  readonly partition: number;
  /** Partitions of the topic that the stage before reads. */
  readonly upstreamPartitions: number;
  /** The same of each of the job's inputs. */
  readonly upstreams: readonly number[];
  /** That the stage reads. */
  readonly topic: string;
}

/** A stretch of a task's partition. */
export interface TaskStretch {
  readonly from: number;
  readonly to: number;
}

/**
 * Computes the state of a task from its partition, from where the task began, by the very operators that its stage runs. Nothing is scored, written or committed.
 *
 * @param task its `source` reads that partition alone; its `decoder` is that of the stage (`openStageDecoder`).
 * @throws {SluiceError} `LOG_TRUNCATED` where the topic does not reach back so far; what the source and the decoder throw.
 */
export function replayTask(
  job: CheckedJob,
  { stage, topic, partition, upstreamPartitions, upstreams, source, decoder }: ReplayedTask,
  { from, to }: TaskStretch,
): Promise<ReplayedState> {
  const query = assembleStage(job, stage, {
    source,
    decoder,
    partition,
    upstreamPartitions,
    upstreams,
    downstreamPartitions: 1,
    input: topic,
    commitLog: noCommits,
    model: null,
    encoders: [],
    lateEncoder: job.late.topic === null ? null : silent,
    encodeDeadLetters: null,
    bounds: { maxBatchRecords: replayBatchRecords },
  });
  return replayQuery(query, {
    from: [{ partition, offset: from }],
    watermarksMs: null,
    ranges: [{ partition, from, to }],
  });
}

const silent: Encoder = { encode: () => assert.fail('a silent replay writes nothing') };
