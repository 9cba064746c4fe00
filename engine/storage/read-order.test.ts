import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OffsetRange } from '../execution/commit-log.ts';
import { systemClock } from '../time/clock.ts';
import { EmbeddedCommitLog } from './embedded-commit-log.ts';
import { messageBatchOf } from './message-batch-builder.ts';
import { joined } from './read-order.ts';
import { Storage } from './storage.ts';
import { readStoredJob } from './stored-job.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

/** A batch of some records of one partition, with no state, a little, or so much that it is stored behind its commit. */
interface Step {
  readonly partition: number;
  readonly records: number;
  readonly state: 'none' | 'little' | 'much' | 'alone';
}

const steps = fc.array(
  fc.record({
    partition: fc.integer({ min: 0, max: 1 }),
    records: fc.integer({ min: 1, max: 20 }),
    state: fc.constantFrom<Step['state']>('none', 'none', 'little', 'much', 'alone'),
  }),
  { maxLength: 20 },
);

const writesOf = (state: Step['state']) => {
  const value = new Uint8Array(state === 'little' ? 10 : 300_000);
  return [{ operatorId: 'card', key: Uint8Array.of(1), value }];
};

describe('the order in which a job has read', () => {
  it('is on record from the first record to the last commit, however state was flushed and whenever it was opened anew', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(steps, { minLength: 1, maxLength: 3 }), async (runs) => {
        using directory = temporaryDirectory();
        await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
        storage.createTopic('input', { partitionCount: 2 });
        await storage.append(
          messageBatchOf(
            'input',
            Array.from({ length: 2_600 }, (_, index) => ({ value: 'x', partition: index % 2 })),
          ),
        );
        const read: OffsetRange[] = [];
        const next = [0, 0];
        let batchSequence = 0;
        for (const run of runs) {
          await using log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
          const { replay, stateAt } = await log.acquire();
          const open = joined(replay.flat());
          expect(open.every(({ partition, from }) => from >= (offsetIn(stateAt, partition) ?? 0))).toBe(true);
          for (const { partition, records, state } of run) {
            const from = next[partition] ?? 0;
            // Before some batches the other partition was found idle, or still was, and its watermark went on.
            const other = 1 - partition;
            const at = next[other] ?? 0;
            const idle = records % 3 === 0 ? [{ partition: other, from: at, to: at, idleForMs: records }] : [];
            const ranges = state === 'alone' ? [] : [...idle, { partition, from, to: from + records }];
            const metadata = { batchSequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' };
            await log.commit({
              ranges,
              metadata,
              outputs: [],
              state: state === 'none' ? null : { writes: writesOf(state) },
            });
            if (state === 'alone') continue;
            batchSequence++;
            next[partition] = from + records;
            read.push(...ranges);
          }
        }
        const stored = readStoredJob(storage, 'job');
        const recorded = joined([...(stored?.order.flatMap(({ ranges }) => ranges) ?? []), ...(stored?.replay ?? [])]);
        expect(recorded).toEqual(joined(read));
      }),
      { numRuns: 60 },
    );
  });

  it('begins where a partition was first read, though a large flush from before took effect after it', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    storage.createTopic('input', { partitionCount: 2 });
    await storage.append(
      messageBatchOf(
        'input',
        [0, 1, 1].map((partition) => ({ value: 'x', partition })),
      ),
    );
    const metadata = (batchSequence: number) => ({ batchSequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' });
    const read = (partition: number, from: number, batchSequence: number, state: Step['state']) => ({
      ranges: [{ partition, from, to: from + 1 }],
      metadata: metadata(batchSequence),
      outputs: [],
      state: state === 'none' ? null : { writes: writesOf(state) },
    });
    {
      await using log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
      await log.acquire();
      await log.commit(read(0, 0, 0, 'much'));
      await log.commit(read(1, 0, 1, 'none'));
      await log.settleState();
      await log.commit(read(1, 1, 2, 'none'));
    }
    await using again = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
    expect(await again.acquire()).toMatchObject({
      stateAt: [
        { partition: 0, offset: 1 },
        { partition: 1, offset: 0 },
      ],
      replay: [[{ partition: 1, from: 0, to: 1 }], [{ partition: 1, from: 1, to: 2 }]],
    });
  });

  it('keeps what is to be replayed of a batch that followed a large flush on its own', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    storage.createTopic('input', { partitionCount: 1 });
    await storage.append(messageBatchOf('input', [{ value: 'x' }, { value: 'y' }]));
    const metadata = (batchSequence: number) => ({ batchSequence, watermarksMs: [], jobDigest: 'd', modelDigest: '' });
    {
      await using log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
      await log.acquire();
      await log.commit({ ranges: [{ partition: 0, from: 0, to: 1 }], metadata: metadata(0), outputs: [], state: null });
      // As the batch loop does when nothing comes: its sequence is the next batch's.
      await log.commit({ ranges: [], metadata: metadata(1), outputs: [], state: { writes: writesOf('much') } });
      await log.commit({ ranges: [{ partition: 0, from: 1, to: 2 }], metadata: metadata(1), outputs: [], state: null });
      await log.settleState();
    }
    await using again = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
    expect(await again.acquire()).toMatchObject({
      committed: [{ partition: 0, offset: 2 }],
      stateAt: [{ partition: 0, offset: 1 }],
      replay: [[{ partition: 0, from: 1, to: 2 }]],
    });
  });
});

function offsetIn(offsets: readonly { partition: number; offset: number }[], partition: number): number | undefined {
  return offsets.find((candidate) => candidate.partition === partition)?.offset;
}
