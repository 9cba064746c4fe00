import { SluiceError } from '../../engine/error.ts';
import type { CommitMetadata } from '../../engine/execution/commit-log.ts';
import type { PartitionOffset } from '../../engine/source/source.ts';
import { openSavepoint, type Savepoint } from '../../engine/state/savepoint-file.ts';
import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import type { OrderRow } from '../../engine/storage/read-order.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import { keyParts } from '../../operators/key/decode-key.ts';
import type { CheckedJob } from '../checked-job.ts';
import { diffLayouts } from './diff-layouts.ts';
import { jobOperators, type JobOperator } from './job-operators.ts';
import { layoutOf, readLayout, type JobLayout } from './job-layout.ts';

/** Of the manifest, whatever the file's format. */
export const manifestVersion = 1;

/** One task's part of a savepoint: all of a job on the embedded profile, a partition of a stage's input on a cluster. */
export interface SavepointTask {
  /** Of a job of several stages, in the order in which records go through them; absent for the first. */
  readonly stage?: number;
  /** Of the stage's input; absent where tasks are in the order of their partitions, and none is left out. */
  readonly partition?: number;
  readonly committed: readonly PartitionOffset[];
  /** As of the last commit; the watermark of a partition that has none is null. */
  readonly metadata: StoredMetadata;
}

/** Commit metadata as JSON has them, which knows no infinities. */
export interface StoredMetadata extends Omit<CommitMetadata, 'watermarksMs'> {
  readonly watermarksMs: readonly { readonly partition: number; readonly watermarkMs: number | null }[];
}

/** What a savepoint says of itself. */
export interface SavepointManifest {
  readonly manifestVersion: number;
  readonly name: string;
  readonly job: string;
  readonly profile: 'local' | 'cluster';
  readonly createdAt: string;
  /** Of the job's state: its digest, its operators and what their bytes hold. */
  readonly layout: JobLayout;
  /** Partitions of the job's input. */
  readonly partitions: number;
  /** Of each of the job's inputs, where it has several and is of the embedded profile. */
  readonly inputPartitions?: readonly number[];
  /** Of what each stage reads, for a job of several. */
  readonly stagePartitions?: readonly number[];
  /** `murmur2`: every record that was looked at lies where Kafka's default puts its key, so that keys can be told apart by partition. */
  readonly keysLie: 'murmur2' | 'otherwise';
  readonly tasks: readonly SavepointTask[];
  /** In which order the partitions were read, where that is on record. */
  readonly order: readonly OrderRow[] | null;
}

/** State that is to be put in place of a task's. */
export interface TaskToRestore {
  readonly committed: readonly PartitionOffset[];
  readonly metadata: CommitMetadata;
  /** By operator. */
  readonly state: ReadonlyMap<string, readonly StateEntry[]>;
}

/** Commit metadata as a manifest has them. */
export function storedMetadata(metadata: CommitMetadata): StoredMetadata {
  return {
    ...metadata,
    watermarksMs: metadata.watermarksMs.map(({ partition, watermarkMs }) => {
      return { partition, watermarkMs: watermarkMs === -Infinity ? null : watermarkMs };
    }),
  };
}

/** Where Kafka's default puts a key. */
export function defaultPlace(key: Uint8Array, partitions: number): number {
  return keyPartitioner(partitions)({ data: key, offsets: Int32Array.of(0, key.length) }, 0, 0);
}

/** The partition that a key of an operator belongs to where records lie by a field, which is a part of it. */
function placeOf(field: string, { describer }: JobOperator, partitions: number): (key: Uint8Array) => number {
  const part = describer.keyFields.indexOf(field);
  return (key) => defaultPlace(Buffer.from(keyParts(key)[part] ?? ''), partitions);
}

/**
 * Looks that nothing is left out: every operator that has state must be one that the job knows how to read.
 *
 * @param operators the ids of those that have had state.
 * @throws {SluiceError} `SAVEPOINT_OPERATORS`.
 */
export async function checkAllKnown(
  job: CheckedJob,
  operators: readonly string[],
  reader: Pick<StateReader, 'scan'>,
): Promise<void> {
  const known = new Set(jobOperators(job).map(({ describer }) => describer.operatorId));
  for (const operatorId of operators.filter((id) => !known.has(id))) {
    for await (const { key } of reader.scan(operatorId)) {
      throw new SluiceError(
        'SAVEPOINT_OPERATORS',
        `a savepoint must hold all state of job ${job.name}; operator ${operatorId} has some (a key of ${key.length} bytes) that nobody has said how to read: see docs/state.md, "For whoever adds an operator"`,
        { fields: { job: job.name, operator: operatorId } },
      );
    }
  }
}

/**
 * Opens a savepoint for a job: reads it from end to end, and checks that its state is the job's.
 *
 * @throws {SluiceError} `SAVEPOINT_DAMAGED`, `SAVEPOINT_MISSING`, `SAVEPOINT_VERSION`; `SAVEPOINT_OF_ANOTHER_JOB` where the job's files have changed in a way that its state does not survive as it is.
 */
export async function openJobSavepoint(
  job: CheckedJob,
  path: string,
): Promise<{ readonly savepoint: Savepoint; readonly manifest: SavepointManifest }> {
  const savepoint = await openSavepoint(path);
  const manifest = savepoint.manifest as SavepointManifest;
  const layout = readLayout(manifest.layout);
  if (manifest.manifestVersion !== manifestVersion || layout === null) {
    throw new SluiceError(
      'SAVEPOINT_VERSION',
      `the savepoint ${path} must have a manifest of version ${manifestVersion}; got ${manifest.manifestVersion}: restore it with the Sluice that wrote it`,
      { fields: { path } },
    );
  }
  if (manifest.job !== job.name) throw anotherJob(path, `job ${job.name}`, `job ${manifest.job}`);
  const diff = diffLayouts(layout, layoutOf(job));
  if (diff.outcome === 'rebuilt' || diff.outcome === 'refused') {
    const words = diff.operators
      .filter(({ fate }) => fate !== 'kept')
      .map((change) => `${change.operator} ${change.words}`);
    throw anotherJob(
      path,
      `job ${job.name} as it is now`,
      `another version of it: ${[...diff.refusals, ...words].join('; ')}`,
    );
  }
  return { savepoint, manifest };
}

/**
 * A savepoint's state as the tasks that it is restored to have it: as it was written where there are as many, one of several, or several of one by key.
 *
 * @param count `1`, or as many as the job's input has partitions.
 * @throws {SluiceError} `SAVEPOINT_PARTITIONS` where keys cannot be told apart by partition.
 */
export async function tasksToRestore(
  job: CheckedJob,
  { savepoint, manifest }: { readonly savepoint: Savepoint; readonly manifest: SavepointManifest },
  count: number,
): Promise<readonly TaskToRestore[]> {
  const { tasks, partitions } = manifest;
  const isSame = tasks.length === count;
  if (!isSame && count !== 1 && (tasks.length !== 1 || count !== partitions)) {
    throw unfit(`tasks for ${count} partitions`, `of ${partitions} partitions in ${tasks.length} tasks`);
  }
  if (!isSame && count > 1 && manifest.keysLie !== 'murmur2') {
    throw unfit('records that lie where Kafka’s default puts their keys (murmur2)', 'of records that lie otherwise');
  }
  const operators = new Map(jobOperators(job).map((operator) => [operator.describer.operatorId, operator]));
  const stored = await readAll(savepoint, tasks.length);
  const states = Array.from({ length: count }, () => new Map<string, readonly StateEntry[]>());
  for (const [operatorId, operator] of operators) {
    const stores = stored.map((entries) => entries.get(operatorId) ?? []);
    const placed = isSame ? stores : redistributed(job.source.key, operator, stores, count);
    states.forEach((state, task) => state.set(operatorId, placed[task] ?? []));
  }
  return states.map((state, task) => {
    const own = isSame ? tasks.slice(task, task + 1) : tasks.filter(({ stage = 0 }) => stage === 0);
    const isOwn = ({ partition }: { readonly partition: number }): boolean =>
      isSame || count === 1 || partition === task;
    const [first] = own;
    if (first === undefined) throw unfit('a task', 'of none');
    const metadata = {
      ...first.metadata,
      batchSequence: Math.max(...own.map((each) => each.metadata.batchSequence)),
      jobDigest: job.digest,
      watermarksMs: own
        .flatMap((each) => each.metadata.watermarksMs)
        .filter(isOwn)
        .map(({ partition, watermarkMs }) => ({ partition, watermarkMs: watermarkMs ?? -Infinity })),
    };
    return { committed: own.flatMap(({ committed }) => committed).filter(isOwn), metadata, state };
  });
}

/** An operator's state as `count` tasks have it among which records lie by a field. @throws {SluiceError} `SAVEPOINT_PARTITIONS` where its keys do not say where they lie. */
export function redistributed(
  field: string,
  operator: JobOperator,
  stores: readonly (readonly StateEntry[])[],
  count: number,
): readonly (readonly StateEntry[])[] {
  const { describer } = operator;
  const isPlaced = describer.keyFields.includes(field);
  if (count > 1 && !isPlaced && stores.some((entries) => entries.length > 0)) {
    // An id says nothing of its record's partition: each task is given all of them, and forgets them in time.
    if (describer.redistribute === undefined)
      throw unfit(`keys with the field ${field}`, `of keys ${describer.keyFields.join(', ')}`);
    const [all = []] = describer.redistribute(stores, 1, () => 0);
    return Array.from({ length: count }, () => all);
  }
  const place = count === 1 ? () => 0 : placeOf(field, operator, count);
  if (describer.redistribute !== undefined) return describer.redistribute(stores, count, place);
  if (describer.filedBy !== 'key')
    throw unfit('operators whose state lies by key', `of operator ${describer.operatorId}`);
  const placed = Array.from({ length: count }, (): StateEntry[] => []);
  for (const entries of stores) for (const entry of entries) placed[place(entry.key)]?.push(entry);
  return placed;
}

/** The state of each task by operator. */
export async function readAll(
  savepoint: Savepoint,
  tasks: number,
): Promise<readonly ReadonlyMap<string, readonly StateEntry[]>[]> {
  const states = Array.from({ length: tasks }, () => new Map<string, StateEntry[]>());
  for await (const { task, operatorId, entries } of savepoint.entries()) {
    const state = states[task];
    const before = state?.get(operatorId);
    if (before === undefined) state?.set(operatorId, [...entries]);
    else for (const entry of entries) before.push(entry);
  }
  return states;
}

function anotherJob(path: string, expected: string, found: string): SluiceError {
  return new SluiceError(
    'SAVEPOINT_OF_ANOTHER_JOB',
    `the savepoint ${path} must be of ${expected}; got one of ${found}`,
    { fields: { path } },
  );
}

/** `SAVEPOINT_PARTITIONS`: its state is of other partitions than those it is to be restored to. */
export function unfit(expected: string, found: string): SluiceError {
  return new SluiceError(
    'SAVEPOINT_PARTITIONS',
    `the savepoint must have state for ${expected}; got one ${found}. Restore it where the input has the same partitions, on the profile that it is of`,
  );
}
