import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { keyParts } from '../../operators/key/decode-key.ts';
import type { CheckedJob } from '../checked-job.ts';
import { planStages, type Stage } from '../runtime/stages/stages.ts';
import { jobOperators, type JobOperator } from './job-operators.ts';
import { defaultPlace, readAll, unfit, type TaskToRestore } from './savepoint.ts';
import { finite, type OpenedSavepoint, type StageShape } from './stages-to-restore.ts';

/** Types whose text in an operator's key is what messages are placed by. */
const placedTypes: ReadonlySet<string> = new Set(['string', 'long', 'timestamp']);

/**
 * What a job of several inputs has kept on the embedded profile, as the tasks of a cluster have it: each input's positions, and the state by the key that their records are brought together by.
 *
 * @returns by stage and partition; `null` for a task that had read nothing. Tasks behind the exchange have no position: nothing is under way to them.
 * @throws {SluiceError} `SAVEPOINT_PARTITIONS`; `SAVEPOINT_STAGES` where the state does not lie by one key.
 */
export async function inputsOfLocal(
  job: CheckedJob,
  { savepoint, manifest }: OpenedSavepoint,
  shapes: readonly StageShape[],
): Promise<readonly (readonly (TaskToRestore | null)[])[]> {
  const joint = jointStageOf(job);
  const counts = shapes.filter(({ stage }) => stage.input === 'source').map(({ partitions }) => partitions);
  const saved = manifest.inputPartitions ?? [];
  if (saved.join() !== counts.join()) {
    throw unfit(`inputs of ${counts.join(' and ')} partitions`, `of inputs of ${saved.join(' and ') || 'unknown'}`);
  }
  const [task] = manifest.tasks;
  const [state = new Map<string, readonly StateEntry[]>()] = await readAll(savepoint, 1);
  assert(task !== undefined, 'the embedded profile has one task');
  const marks = task.metadata.watermarksMs.map(finite);
  return shapes.map(({ stage, partitions }) => {
    const common = { ...task.metadata, jobDigest: stage.digest };
    if (stage.input !== 'source') {
      const states = placedStates(job, joint, state, partitions);
      return states.map((own) => ({ committed: [], metadata: { ...common, watermarksMs: marks }, state: own }));
    }
    return Array.from({ length: partitions }, (_, partition): TaskToRestore | null => {
      const merged = mergedPartition(stage.origin, partition, counts.length);
      const at = task.committed.find((each) => each.partition === merged);
      if (at === undefined) return null;
      const own = marks.filter((mark) => mark.partition === merged);
      const watermarksMs = own.map(({ watermarkMs }) => ({ partition, watermarkMs }));
      return { committed: [{ partition, offset: at.offset }], metadata: { ...common, watermarksMs }, state: new Map() };
    });
  });
}

/**
 * The same the other way round: what the tasks of a cluster have kept, as the one task of the embedded profile has it.
 *
 * @throws {SluiceError} `SAVEPOINT_STAGES` as {@link inputsOfLocal}.
 */
export async function inputsOfCluster(
  job: CheckedJob,
  { savepoint, manifest }: OpenedSavepoint,
): Promise<TaskToRestore> {
  jointStageOf(job);
  const stages = planStages(job);
  const inputs = stages.filter(({ input }) => input === 'source').length;
  const stored = await readAll(savepoint, manifest.tasks.length);
  const readers = manifest.tasks.filter(({ stage = 0 }) => stages[stage]?.input === 'source');
  const numbered = <At extends { readonly partition: number }>(stage: number, at: At): At => {
    return { ...at, partition: mergedPartition(stages[stage]?.origin ?? 0, at.partition, inputs) };
  };
  const [first] = manifest.tasks;
  if (first === undefined) throw unfit('a task', 'of none');
  const state = jobOperators(job).map((operator) => {
    const { operatorId } = operator.describer;
    const stores = stored.map((entries) => entries.get(operatorId) ?? []);
    return [operatorId, redistribute(operator, stores, 1, () => 0)[0] ?? []] as const;
  });
  return {
    committed: readers.flatMap(({ stage = 0, committed }) => committed.map((at) => numbered(stage, at))),
    metadata: {
      ...first.metadata,
      batchSequence: Math.max(...manifest.tasks.map(({ metadata }) => metadata.batchSequence)),
      jobDigest: job.digest,
      watermarksMs: readers.flatMap(({ stage = 0, metadata }): readonly PartitionWatermark[] =>
        metadata.watermarksMs.map((mark) => finite(numbered(stage, mark))),
      ),
    },
    state: new Map(state),
  };
}

/** The one stage that several inputs share. @throws {SluiceError} `SAVEPOINT_STAGES` where what it keeps is another thing on the other profile. */
function jointStageOf(job: CheckedJob): Stage {
  const [joint, ...further] = planStages(job).filter(({ input }) => input !== 'source');
  const reason =
    joint === undefined
      ? 'it does not run on a cluster'
      : further.length > 0
        ? 'it has several stages behind its inputs'
        : job.source.kind !== 'inputs' || (job.source.plan.join?.before.length ?? 0) > 0
          ? 'it joins more than two inputs'
          : job.pattern !== null || job.sessions !== null || job.amendments !== null
            ? 'it keeps patterns, sessions or decisions'
            : job.windows?.definition.closedBy === 'partition'
              ? 'its windows go by the watermarks of single partitions'
              : null;
  if (joint !== undefined && reason === null) return joint;
  throw notMoved(job, reason ?? '');
}

function placedStates(
  job: CheckedJob,
  { key }: Stage,
  state: ReadonlyMap<string, readonly StateEntry[]>,
  count: number,
): readonly ReadonlyMap<string, readonly StateEntry[]>[] {
  const placed = jobOperators(job).map((operator) => {
    const { operatorId } = operator.describer;
    return [
      operatorId,
      redistribute(operator, [state.get(operatorId) ?? []], count, placeOf(job, operator, key, count)),
    ] as const;
  });
  return Array.from({ length: count }, (_, partition) => {
    return new Map(placed.map(([operatorId, stores]) => [operatorId, stores[partition] ?? []]));
  });
}

/** Where an exchange by `key` has the records of an operator's key. @throws {SluiceError} `SAVEPOINT_STAGES` */
function placeOf(
  job: CheckedJob,
  { describer, inputSchema }: JobOperator,
  key: readonly string[],
  count: number,
): (bytes: Uint8Array) => number {
  if (count === 1) return () => 0;
  const [field, ...others] = key;
  const part = describer.keyFields.indexOf(field ?? '');
  return (bytes) => {
    // Asked only of operators that have state, and lie by key.
    if (field === undefined || others.length > 0 || part < 0)
      throw notMoved(
        job,
        `operator ${describer.operatorId} is keyed by ${describer.keyFields.join(', ')}, and not by ${key.join(', ')} alone`,
      );
    const type = (job.schema.field(field) ?? inputSchema.field(field))?.type;
    if (type !== undefined && !placedTypes.has(type)) throw notMoved(job, `its key ${field} is a ${type}`);
    return defaultPlace(Buffer.from(keyParts(bytes)[part] ?? ''), count);
  };
}

function redistribute(
  { describer }: JobOperator,
  stores: readonly (readonly StateEntry[])[],
  count: number,
  place: (key: Uint8Array) => number,
): readonly (readonly StateEntry[])[] {
  if (describer.kind === 'duplicates') {
    // An id says nothing of where its record is brought: each task is given all of them.
    const [all = []] = describer.redistribute?.(stores, 1, () => 0) ?? [];
    return Array.from({ length: count }, () => all);
  }
  if (describer.redistribute !== undefined) return describer.redistribute(stores, count, place);
  const placed = Array.from({ length: count }, (): StateEntry[] => []);
  for (const entry of stores.flat()) placed[place(entry.key)]?.push(entry);
  return placed;
}

function notMoved({ name }: CheckedJob, reason: string): SluiceError {
  return new SluiceError(
    'SAVEPOINT_STAGES',
    `a savepoint of a job of several inputs must have state that lies by one key, to be restored to another profile; job ${name} has other state: ${reason}. Let it run from the beginning of its topics`,
    { fields: { job: name } },
  );
}
