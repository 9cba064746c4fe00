import { describe, expect, it } from 'vitest';
import { loadFiles } from '../../jobs/testing/job-folder.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { planStages } from '../../jobs/runtime/stages/stages.ts';
import { inputsOfCluster, inputsOfLocal } from '../../jobs/state/inputs-to-restore.ts';
import { layoutOf } from '../../jobs/state/job-layout.ts';
import { manifestVersion, type SavepointManifest } from '../../jobs/state/savepoint.ts';
import type { OpenedSavepoint } from '../../jobs/state/stages-to-restore.ts';
import { joined, priced, united, type InputsCase } from './inputs-on-a-cluster.ts';

async function jobOf({ text, files }: InputsCase, from = '', to = ''): Promise<CheckedJob> {
  const outcome = await loadFiles({ 'jobs/job.yaml': text('shop').replace(from, to), ...files });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

/** A savepoint without state, of a job that stands somewhere in each of its inputs. */
function opened(
  job: CheckedJob,
  profile: SavepointManifest['profile'],
  inputPartitions: readonly number[],
): OpenedSavepoint {
  const metadata = { batchSequence: 3, jobDigest: job.digest, modelDigest: '' };
  const task = {
    committed: [
      { partition: 0, offset: 7 },
      { partition: 1, offset: 8 },
      { partition: 2, offset: 9 },
    ],
    metadata: {
      ...metadata,
      watermarksMs: [
        { partition: 2, watermarkMs: null },
        { partition: 1, watermarkMs: 5 },
      ],
    },
  };
  const manifest: SavepointManifest = {
    manifestVersion,
    name: 'kept',
    job: job.name,
    profile,
    createdAt: '2026-11-22T00:00:00.000Z',
    layout: layoutOf(job),
    partitions: 1,
    inputPartitions,
    keysLie: 'otherwise',
    tasks: [task],
    order: null,
  };
  return { manifest, savepoint: { manifest, entries: () => nothing() } };
}

async function* nothing(): AsyncGenerator<never> {
  // No task has state.
}

describe('a savepoint of several inputs that is restored to the other profile', () => {
  it('has the position of each input under the number that its partition has in its own topic', async () => {
    const job = await jobOf(united);
    const shapes = planStages(job).map((stage) => ({ stage, partitions: 2 }));
    const [first = [], second = [], behind = []] = await inputsOfLocal(job, opened(job, 'local', [2, 2]), shapes);
    expect(first.map((task) => task?.committed)).toEqual([
      [{ partition: 0, offset: 7 }],
      [{ partition: 1, offset: 9 }],
    ]);
    expect(first.map((task) => task?.metadata.watermarksMs)).toEqual([[], [{ partition: 1, watermarkMs: -Infinity }]]);
    expect(second.map((task) => task?.committed ?? null)).toEqual([[{ partition: 0, offset: 8 }], null]);
    expect(behind.map((task) => task?.committed)).toEqual([[], []]);
    expect(behind[0]?.metadata.watermarksMs).toEqual([
      { partition: 2, watermarkMs: -Infinity },
      { partition: 1, watermarkMs: 5 },
    ]);
  });

  it('is refused where the inputs have other partitions', async () => {
    const job = await jobOf(joined);
    const shapes = planStages(job).map((stage) => ({ stage, partitions: 4 }));
    await expect(inputsOfLocal(job, opened(job, 'local', [4, 2]), shapes)).rejects.toMatchObject({
      code: 'SAVEPOINT_PARTITIONS',
    });
  });

  it('is refused where windows go by the watermarks of single partitions on the embedded profile', async () => {
    const job = await jobOf(priced, 'windows: { key: customer', 'windows: { key: id');
    const shapes = planStages(job).map((stage) => ({ stage, partitions: 4 }));
    const refused = { code: 'SAVEPOINT_STAGES', message: expect.stringContaining('single partitions') as string };
    await expect(inputsOfLocal(job, opened(job, 'local', [4, 4]), shapes)).rejects.toMatchObject(refused);
    await expect(inputsOfCluster(job, opened(job, 'cluster', []))).rejects.toMatchObject(refused);
  });
});
