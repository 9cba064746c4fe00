import { strict as assert } from 'node:assert';
import type { Acquired, CommitLog } from '../../engine/execution/commit-log.ts';
import { defaultBounds, type QueryDefinition } from '../../engine/execution/query-definition.ts';
import { recover } from '../../engine/execution/recover.ts';
import { takeState } from '../../engine/execution/section.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import type { PartitionOffset, Source } from '../../engine/source/source.ts';
import type { StateWrite } from '../../engine/state/state-store.ts';
import type { EmbeddedCommitLog } from '../../engine/storage/embedded-commit-log.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';
import { watermarkRule } from '../runtime/input-positions.ts';
import { openSection } from '../runtime/sections/open-section.ts';
import { partitionRules } from '../runtime/partition-rules.ts';
import { MemoryState } from './memory-state.ts';
import type { ReplayPlan } from './replay-plan.ts';

/** Records of one batch; large, since nobody waits for the first of them. */
export const replayBatchRecords = 4_096;

/** What a replay reads; disposed of by whoever opened it. */
export interface ReplayedLog {
  readonly source: Source;
  /** `null` where the source gives records. */
  readonly decoder: Decoder | null;
}

/** State as the log makes it. */
export interface ReplayedState {
  readonly writes: readonly StateWrite[];
  /** At the end of what was replayed. */
  readonly watermarksMs: readonly PartitionWatermark[];
  readonly replayedRecords: number;
}

/**
 * Computes a job's state from its log, by the very operators that the job runs, in the order in which it read: the silent replay of a restart (exactly-once, "Acquire"), over
 * another stretch. Nothing is scored, written or committed. All keys of the stretch are in memory, once as the operators hold them and once as bytes.
 *
 * @throws {SluiceError} `LOG_TRUNCATED`, and what the source and the decoder throw.
 */
export async function replayState(
  job: CheckedJob,
  { source, decoder }: ReplayedLog,
  plan: ReplayPlan,
  signal: AbortSignal = new AbortController().signal,
): Promise<ReplayedState> {
  return replayQuery(silentQuery(job, { source, decoder }, noCommits), plan, signal);
}

/**
 * The same for a query that is there already, whose commit log is {@link noCommits}.
 *
 * @throws {SluiceError} `LOG_TRUNCATED`, and what the source and the decoder throw.
 */
export async function replayQuery(
  query: QueryDefinition,
  plan: ReplayPlan,
  signal: AbortSignal = new AbortController().signal,
): Promise<ReplayedState> {
  const { section, watermarks, replayedRecords } = await recover(query, acquired(query, plan), signal);
  return { writes: takeState(section), watermarksMs: watermarks.entries(), replayedRecords };
}

function acquired({ jobDigest }: QueryDefinition, { from, watermarksMs, ranges }: ReplayPlan): Acquired {
  const ends = new Map(from.map(({ partition, offset }) => [partition, offset]));
  for (const { partition, to } of ranges) ends.set(partition, to);
  const committed: readonly PartitionOffset[] = [...ends].map(([partition, offset]) => ({ partition, offset }));
  const metadata = { batchSequence: 0, jobDigest, modelDigest: '' };
  return {
    committed,
    metadata: null,
    stateAt: from,
    stateMetadata: watermarksMs === null ? null : { ...metadata, watermarksMs },
    replay: [ranges],
  };
}

/**
 * Brings the stored state of a job up to where it is committed, as a start of the job does, and leaves it at that: what a restart would replay is replayed, and flushed. The commit log
 * is acquired, and disposed of.
 *
 * @throws {SluiceError} what the commit log and the source throw.
 */
export async function catchUp(job: CheckedJob, log: ReplayedLog, commitLog: EmbeddedCommitLog): Promise<void> {
  await using owned = commitLog;
  const found = await owned.acquire();
  if (found.metadata === null || found.replay.length === 0) return;
  const task = await recover(silentQuery(job, log, owned), found, new AbortController().signal);
  const metadata = { ...found.metadata, batchSequence: task.nextBatchSequence };
  await owned.commit({ ranges: [], metadata, outputs: [], state: { writes: takeState(task.section) } });
  await owned.settleState();
}

/** The part of a query that a replay runs; nothing of the rest is ever called. */
function silentQuery(job: CheckedJob, { source, decoder }: ReplayedLog, commitLog: CommitLog): QueryDefinition {
  return {
    name: job.name,
    jobDigest: job.digest,
    modelDigest: '',
    source,
    decoder,
    watermark: watermarkRule(job),
    ...partitionRules(job),
    commitLog,
    openSection: (start, state) => openSection(job, start, state),
    score: emitted,
    encode: emitted,
    encodeDeadLetters: emitted,
    bounds: { ...defaultBounds, maxBatchRecords: replayBatchRecords },
  };
}

function emitted(): never {
  assert.fail('a silent replay emits nothing');
}

/** What a replay commits to, who never does. */
export const noCommits: CommitLog = {
  acquire: emitted,
  state: new MemoryState(),
  commit: emitted,
  [Symbol.asyncDispose]: () => Promise.resolve(),
};
