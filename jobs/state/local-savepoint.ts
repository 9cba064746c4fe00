import { SluiceError } from '../../engine/error.ts';
import type { PartitionOffset } from '../../engine/source/source.ts';
import { messageKey } from '../../engine/record/message-batch.ts';
import { SavepointWriter } from '../../engine/state/savepoint-file.ts';
import type { StateWrite } from '../../engine/state/state-store.ts';
import { EmbeddedCommitLog } from '../../engine/storage/embedded-commit-log.ts';
import { keepLayout } from '../../engine/storage/kept-layout.ts';
import { StateSwap } from '../../engine/storage/state-swap.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import { readStoredJob, storedOperators } from '../../engine/storage/stored-job.ts';
import { inputOfPartition, partitionInInput } from '../../engine/source/merged/input-partition.ts';
import { openTopicSource } from '../runtime/open-source.ts';
import type { CheckedJob } from '../checked-job.ts';
import { inputsOfCluster } from './inputs-to-restore.ts';
import { jobOperators } from './job-operators.ts';
import { layoutOf } from './job-layout.ts';
import { catchUp } from './replay-state.ts';
import {
  checkAllKnown,
  defaultPlace,
  manifestVersion,
  openJobSavepoint,
  storedMetadata,
  tasksToRestore,
  type SavepointManifest,
} from './savepoint.ts';
import { openJobLog, openStoredState, storedJob } from './stored-state.ts';

/** Records of each partition by which it is told whether keys lie where Kafka's default puts them. */
const lookedAtRecords = 1_000;

/** What was saved, or restored. */
export interface SavepointFigures {
  readonly path: string;
  readonly name: string;
  readonly keys: number;
  readonly tasks: number;
}

/** The data directory of the embedded profile. */
export interface LocalStore {
  readonly storage: Storage;
  readonly directory: string;
}

/**
 * Writes a savepoint of a job on the embedded profile: its state as of its last commit, with positions and watermarks. The job must not run.
 *
 * @throws {SluiceError} `DIRECTORY_IN_USE` while it runs; `STATE_NONE`, `JOB_CHANGED`, `LOG_TRUNCATED`, `SAVEPOINT_UNWRITABLE`.
 */
export async function saveLocal(
  job: CheckedJob,
  { storage, directory }: LocalStore,
  { path, name }: Pick<SavepointFigures, 'path' | 'name'>,
): Promise<SavepointFigures> {
  storedJob(job, storage);
  const inputTopic = job.source.kind === 'topic' ? job.source.topic : null;
  const log = await openJobLog(job, storage, directory);
  try {
    await catchUp(job, log, new EmbeddedCommitLog({ storage, job: job.name, jobDigest: job.digest, inputTopic }));
  } finally {
    await log.source[Symbol.asyncDispose]();
  }
  const claim = await storage.claims.take(`job ${job.name}`);
  try {
    const { reader, operators, stored } = openStoredState(job, storage);
    await checkAllKnown(job, storedOperators(storage, job.name), reader);
    const { committed, metadata } = stored.row;
    const manifest: SavepointManifest = {
      manifestVersion,
      name,
      job: job.name,
      profile: 'local',
      createdAt: new Date(storage.clock.nowMs()).toISOString(),
      layout: layoutOf(job),
      partitions: inputTopic === null ? 1 : storage.topic(inputTopic).partitionCount,
      ...inputPartitions(job, storage),
      keysLie: inputTopic === null ? 'otherwise' : await whereKeysLie(storage, inputTopic),
      tasks: [{ committed, metadata: storedMetadata(metadata) }],
      order: stored.order,
    };
    await using writer = await SavepointWriter.open(path, manifest);
    let keys = 0;
    for (const { describer } of operators) {
      keys += await writer.add(0, describer.operatorId, reader.scan(describer.operatorId));
    }
    await writer.finish();
    return { path, name, keys, tasks: 1 };
  } finally {
    storage.claims.release(claim);
  }
}

/**
 * Puts a savepoint in the place of a job's state on the embedded profile, at once: whoever dies on the way leaves what was there before. The job goes on behind the savepoint's positions,
 * so its input topic must be the one that they are of.
 *
 * @param existing `refuse` a job that has state already, or `replace` it: what it had published since stays published, and is published again.
 * @throws {SluiceError} `STATE_EXISTS`, `SAVEPOINT_POSITIONS`; `DIRECTORY_IN_USE` while the job runs; what {@link openJobSavepoint} and {@link tasksToRestore} throw.
 */
export async function restoreLocal(
  job: CheckedJob,
  { storage }: Pick<LocalStore, 'storage'>,
  path: string,
  existing: 'refuse' | 'replace',
): Promise<SavepointFigures> {
  const opened = await openJobSavepoint(job, path);
  const { manifest } = opened;
  const claim = await storage.claims.take(`job ${job.name}`);
  try {
    if (existing === 'refuse' && readStoredJob(storage, job.name) !== null) throw stateExists(job, storage.directory);
    const isOfInputs = job.source.kind === 'inputs' && manifest.profile === 'cluster';
    const [task] = isOfInputs ? [await inputsOfCluster(job, opened)] : await tasksToRestore(job, opened, 1);
    if (task === undefined) throw new RangeError('a savepoint is restored to one task');
    checkPositions(job, storage, task.committed, path);
    const swap = StateSwap.begin(storage, job.name, claim);
    let keys = 0;
    for (const { describer } of jobOperators(job)) {
      const { operatorId } = describer;
      swap.stage(operatorId);
      const writes = (task.state.get(operatorId) ?? []).map((entry): StateWrite => ({ operatorId, ...entry }));
      swap.put(writes);
      keys += writes.length;
    }
    const { committed, metadata } = task;
    const row = { committed, metadata, stateAt: committed, stateMetadata: metadata };
    // JSON has no infinities.
    const recorded = (manifest.order ?? []).map((stretch) => {
      const marks = stretch.watermarksMs?.map((mark) => ({ ...mark, watermarkMs: mark.watermarkMs ?? -Infinity }));
      return { ...stretch, watermarksMs: marks ?? null };
    });
    swap.activate({ row, replaces: 'all', order: { recorded } });
    keepLayout(storage, job.name, job.digest, layoutOf(job));
    return { path, name: manifest.name, keys, tasks: 1 };
  } finally {
    storage.claims.release(claim);
  }
}

/** `STATE_EXISTS`: a savepoint would take the place of state that is there. */
export function stateExists({ name }: CheckedJob, where: string): SluiceError {
  return new SluiceError(
    'STATE_EXISTS',
    `job ${name} must have no state where a savepoint is restored; it has some on ${where}. Say --replace to put the savepoint in its place: records behind its positions are then answered again`,
    { fields: { job: name } },
  );
}

function checkPositions(
  { source, name }: CheckedJob,
  storage: Storage,
  committed: readonly PartitionOffset[],
  path: string,
): void {
  const inputs = source.kind === 'inputs' ? source.plan.inputs.map((input) => input.source) : [source];
  const held = inputs.map((input) => (input.kind === 'topic' ? storage.ranges(input.topic) : null));
  for (const { partition: merged, offset } of committed) {
    const index = inputOfPartition(merged, inputs.length);
    const [input, ranges] = [inputs[index], held[index] ?? null];
    if (input?.kind !== 'topic' || ranges === null) continue;
    const partition = partitionInInput(merged, inputs.length);
    const range = ranges.find((each) => each.partition === partition);
    const { startOffset, endOffset } = range ?? { startOffset: 0, endOffset: 0 };
    if (offset >= startOffset && offset <= endOffset) continue;
    throw new SluiceError(
      'SAVEPOINT_POSITIONS',
      `topic ${input.topic} must hold offset ${offset} of partition ${partition}, where the savepoint ${path} stands; it holds ${startOffset} to ${endOffset}. ` +
        'A savepoint is restored where the input has the same records at the same offsets',
      { fields: { job: name, partition, offset } },
    );
  }
}

/** As a cluster must have them for the positions to be those of its tasks. */
function inputPartitions({ source }: CheckedJob, storage: Storage): Pick<SavepointManifest, 'inputPartitions'> {
  if (source.kind !== 'inputs') return {};
  return {
    inputPartitions: source.plan.inputs.map((input) =>
      input.source.kind === 'topic' ? storage.topic(input.source.topic).partitionCount : 1,
    ),
  };
}

/** Looks at the first records of each partition that are still there. */
async function whereKeysLie(storage: Storage, topic: string): Promise<SavepointManifest['keysLie']> {
  const source = openTopicSource(storage, topic);
  const ranges = storage.ranges(topic);
  for (const { partition, startOffset, endOffset } of ranges) {
    if (startOffset === endOffset) continue;
    await source.seek([{ partition, offset: startOffset }]);
    const polled = await source.poll({ maxRecords: lookedAtRecords, maxWaitMs: 1_000 });
    if (polled === null || polled === 'end' || polled.kind === 'records') return 'otherwise';
    const { messages } = polled;
    for (let i = 0; i < messages.messageCount; i++) {
      const key = messageKey(messages, i);
      if (key.length === 0 || defaultPlace(key, ranges.length) !== partition) return 'otherwise';
    }
  }
  return 'murmur2';
}
