import { SluiceError } from '../../engine/error.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { Savepoint } from '../../engine/state/savepoint-file.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { Stage } from '../runtime/stages/stages.ts';
import { jobOperators, type JobOperator } from './job-operators.ts';
import { readAll, redistributed, unfit, type SavepointManifest, type TaskToRestore } from './savepoint.ts';

/** A stage of a job where a savepoint is restored. */
export interface StageShape {
  readonly stage: Stage;
  /** Of what it reads. */
  readonly partitions: number;
}

/** A savepoint that was opened, and is the job's. */
export interface OpenedSavepoint {
  readonly savepoint: Savepoint;
  readonly manifest: SavepointManifest;
}

/**
 * A savepoint's state as the tasks of each stage have it: as it was written, where it is of a cluster; by the key of each stage, where it is of the embedded profile, whose one task knows all keys.
 *
 * @returns by stage and partition; `null` for a task that had read nothing. Tasks behind an exchange have no position: nothing was under way to them.
 * @throws {SluiceError} `SAVEPOINT_PARTITIONS`; `SAVEPOINT_STAGES` where state behind an exchange is not that of rolling features or windows by one field.
 */
export async function stagesToRestore(
  job: CheckedJob,
  { savepoint, manifest }: OpenedSavepoint,
  shapes: readonly StageShape[],
): Promise<readonly (readonly (TaskToRestore | null)[])[]> {
  const stored = await readAll(savepoint, manifest.tasks.length);
  return manifest.profile === 'cluster' ? asWritten(manifest, stored, shapes) : byKey(job, manifest, stored, shapes);
}

type StoredStates = readonly ReadonlyMap<string, readonly StateEntry[]>[];

function asWritten(
  { tasks, stagePartitions }: SavepointManifest,
  stored: StoredStates,
  shapes: readonly StageShape[],
): readonly (readonly (TaskToRestore | null)[])[] {
  const counts = shapes.map(({ partitions }) => partitions);
  if (stagePartitions?.join() !== counts.join()) {
    throw unfit(
      `stages of ${counts.join(' and ')} partitions`,
      `of ${stagePartitions?.join(' and ') ?? 'a single stage'}`,
    );
  }
  return shapes.map(({ stage, partitions }, stageIndex) =>
    Array.from({ length: partitions }, (_, partition): TaskToRestore | null => {
      const index = tasks.findIndex((task) => (task.stage ?? 0) === stageIndex && task.partition === partition);
      const task = tasks[index];
      if (task === undefined) return null;
      const watermarksMs = task.metadata.watermarksMs.map(finite);
      return {
        committed: stage.input === 'source' ? task.committed : [],
        metadata: { ...task.metadata, jobDigest: stage.digest, watermarksMs },
        state: stored[index] ?? new Map<string, readonly StateEntry[]>(),
      };
    }),
  );
}

function byKey(
  job: CheckedJob,
  { tasks, partitions: inputPartitions, keysLie }: SavepointManifest,
  stored: StoredStates,
  shapes: readonly StageShape[],
): readonly (readonly (TaskToRestore | null)[])[] {
  const [task] = tasks;
  const [state = new Map<string, readonly StateEntry[]>()] = stored;
  if (task === undefined || shapes[0]?.partitions !== inputPartitions) {
    throw unfit(`an input of ${shapes[0]?.partitions ?? 0} partitions`, `of one of ${inputPartitions}`);
  }
  if (keysLie !== 'murmur2') {
    throw unfit('records that lie where Kafka’s default puts their keys (murmur2)', 'of records that lie otherwise');
  }
  const marks = task.metadata.watermarksMs.map(finite);
  const behind = new Set(shapes.slice(1).flatMap(({ stage }) => stage.operators));
  return shapes.map(({ stage, partitions }, index) => {
    const isOwn = (id: string): boolean => (index === 0 ? !behind.has(id) : stage.operators.includes(id));
    const operators = jobOperators(job).filter(({ describer }) => isOwn(describer.operatorId));
    const field = index === 0 ? job.source.key : keyOf(job, stage, index, operators);
    const placed = operators.map((operator) => {
      const { operatorId } = operator.describer;
      return [operatorId, redistributed(field, operator, [state.get(operatorId) ?? []], partitions)] as const;
    });
    const writers = shapes[index - 1]?.partitions ?? 0;
    return Array.from({ length: partitions }, (_, partition): TaskToRestore => {
      const isHere = (at: { readonly partition: number }): boolean => at.partition === partition;
      const watermarksMs = index === 0 ? marks.filter(isHere) : marksOfWriters(marks, index, writers);
      return {
        committed: index === 0 ? task.committed.filter(isHere) : [],
        metadata: { ...task.metadata, jobDigest: stage.digest, watermarksMs },
        state: new Map(placed.map(([operatorId, states]) => [operatorId, states[partition] ?? []])),
      };
    });
  });
}

/** The field by which records lie behind an exchange. @throws {SluiceError} `SAVEPOINT_STAGES` */
function keyOf(
  { name, windows }: CheckedJob,
  { key }: Stage,
  stageIndex: number,
  operators: readonly JobOperator[],
): string {
  const [field, ...others] = key;
  // The watermarks that windows have seen are those of the input's partitions only right behind it.
  const isMoved = stageIndex === 1 && windows?.definition.closedBy === 'query';
  const other = operators.find(({ describer: { kind } }) => kind !== 'rolling' && !(kind === 'window' && isMoved));
  if (field !== undefined && others.length === 0 && other === undefined) return field;
  throw new SluiceError(
    'SAVEPOINT_STAGES',
    `a savepoint of the embedded profile must have, for what runs behind an exchange on a cluster, the state of rolling features or windows by one field; job ${name} has ` +
      `${other === undefined ? `a stage by ${key.join(', ')}` : `operator ${other.describer.operatorId}, a ${other.describer.kind}`} there. Let it run from the beginning of its topic`,
    { fields: { job: name } },
  );
}

/** What the tasks that write to an exchange have passed: those of the first stage have a partition of the input each, others what all partitions have. */
function marksOfWriters(
  marks: readonly PartitionWatermark[],
  stageIndex: number,
  writers: number,
): readonly PartitionWatermark[] {
  if (stageIndex === 1) return marks;
  const watermarkMs = Math.min(...marks.map((mark) => mark.watermarkMs));
  if (watermarkMs === Infinity) return [];
  return Array.from({ length: writers }, (_, partition) => ({ partition, watermarkMs }));
}

/** A watermark as commit metadata have it: JSON has no infinities. */
export function finite({
  partition,
  watermarkMs,
}: {
  readonly partition: number;
  readonly watermarkMs: number | null;
}): PartitionWatermark {
  return { partition, watermarkMs: watermarkMs ?? -Infinity };
}
