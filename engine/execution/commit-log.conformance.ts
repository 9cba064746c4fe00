import { describe, expect, it } from 'vitest';
import { messageBatchOf } from '../storage/message-batch-builder.ts';
import type { StateWrite } from '../state/state-store.ts';
import type { Commit, CommitLog, OffsetRange, StateFlush } from './commit-log.ts';

/**
 * One task over an input topic whose partitions have 1,000 records each, with one output topic of 2 partitions.
 *
 * The committed offsets of a test start at 0, and the state's digest at `jobDigest` "digest 1".
 */
export interface TaskUnderTest extends AsyncDisposable {
  readonly outputTopic: string;
  /** A new owner of the task, not acquired yet; disposed of with the test if not before. */
  own(jobDigest?: string): Promise<CommitLog>;
  /** What a reader of committed messages sees in a partition of the output topic, from its start. */
  outputs(partition: number): Promise<readonly string[]>;
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** How many partitions a task of the log reads: the embedded one has all of a topic, in the cluster each has its own. */
export type TaskShape = 'one partition a task' | 'two partitions a task';

/** What every commit log must keep of the contract in `commit-log.ts`. An implementation joins with one line. */
export function commitLogConformance(name: string, shape: TaskShape, open: () => Promise<TaskUnderTest>): void {
  if (shape === 'two partitions a task') severalPartitions(name, open);
  describe(`${name} keeps the contract of a commit log`, () => {
    it('says of a task that never committed that there is nothing', async () => {
      await using task = await open();
      const log = await task.own();
      expect(await log.acquire()).toEqual({
        committed: [],
        metadata: null,
        stateAt: [],
        stateMetadata: null,
        replay: [],
      });
    });

    it('makes outputs visible with the commit, each once, in order', async () => {
      await using task = await open();
      const log = await task.own();
      await log.acquire();
      await log.commit(batch(task, 0, [[0, 0, 2]], ['a', 'b']));
      expect(await task.outputs(0)).toEqual(['a', 'b']);
      await log.commit(batch(task, 1, [[0, 2, 3]], ['c']));
      expect(await task.outputs(0)).toEqual(['a', 'b', 'c']);
      expect(await task.outputs(1)).toEqual([]);
    });

    it('goes on for a new owner where the last commit stands', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(batch(task, 0, [[0, 0, 5]], ['a']));
      await first.commit(batch(task, 1, [[0, 5, 6]], ['b']));
      await first[Symbol.asyncDispose]();
      const { committed, metadata } = await (await task.own()).acquire();
      expect(committed).toEqual([{ partition: 0, offset: 6 }]);
      expect(metadata).toEqual(metadataOf(1));
      expect(await task.outputs(0)).toEqual(['a', 'b']);
    });

    it('keeps watermarks that are not numbers yet', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      const watermarksMs = [
        { partition: 0, watermarkMs: -Infinity },
        { partition: 1, watermarkMs: 1_700_000_000_123 },
      ];
      const commit = batch(task, 0, [[0, 0, 1]], []);
      await first.commit({ ...commit, metadata: { ...commit.metadata, watermarksMs }, state: { writes: [] } });
      const { metadata, stateMetadata } = await (await task.own()).acquire();
      expect(metadata?.watermarksMs).toEqual(watermarksMs);
      expect(stateMetadata?.watermarksMs).toEqual(watermarksMs);
    });

    it('has replayed what was committed since the state was written, and nothing once state has passed it', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(batch(task, 0, [[0, 0, 5]], []));
      await first.commit(batch(task, 1, [[0, 5, 8]], []));
      const second = await task.own();
      const behind = await second.acquire();
      expect(behind.stateAt).toEqual([{ partition: 0, offset: 0 }]);
      expect(behind.stateMetadata).toBeNull();
      expect(covered(behind.replay)).toEqual([0, 8]);

      await second.commit(batch(task, 2, [[0, 8, 9]], [], flush({ a: '1' })));
      await second.commit(batch(task, 3, [[0, 9, 11]], []));
      const third = await task.own();
      const near = await third.acquire();
      expect(near.stateAt).toEqual([{ partition: 0, offset: 9 }]);
      expect(near.stateMetadata).toEqual(metadataOf(2));
      expect(covered(near.replay)).toEqual([9, 11]);

      await third.commit(batch(task, 4, [[0, 11, 12]], [], flush({ a: '2' })));
      expect((await (await task.own()).acquire()).replay).toEqual([]);
    });

    it('brings the state up to the last batch by a commit that covers nothing, as at the end of a run', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(batch(task, 0, [[0, 0, 5]], ['a']));
      await first.commit(batch(task, 1, [], [], flush({ a: 'at the end' })));
      const next = await task.own();
      expect(await next.acquire()).toMatchObject({ stateAt: [{ partition: 0, offset: 5 }], replay: [] });
      expect(await values(next, ['a'])).toEqual(['at the end']);
    });

    it('gives state as of the last commit that wrote it', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(batch(task, 0, [[0, 0, 1]], [], flush({ a: '1', b: '1' })));
      await first.commit(batch(task, 1, [[0, 1, 2]], [], flush({ a: '2', b: null })));
      expect(await values(first, ['a', 'b'])).toEqual(['2', null]);
      const second = await task.own();
      await second.acquire();
      expect(await values(second, ['b', 'a'])).toEqual([null, '2']);
    });

    it('fences the former owner: nothing that it still commits takes effect', async () => {
      await using task = await open();
      const former = await task.own();
      await former.acquire();
      await former.commit(batch(task, 0, [[0, 0, 1]], ['before'], flush({ a: 'before' })));
      const owner = await task.own();
      await owner.acquire();
      await expect(former.commit(batch(task, 1, [[0, 1, 2]], ['stale'], flush({ a: 'stale' })))).rejects.toMatchObject({
        code: 'TASK_FENCED',
        retryable: 'permanent',
      });
      await owner.commit(batch(task, 1, [[0, 1, 2]], ['after']));
      expect(await task.outputs(0)).toEqual(['before', 'after']);
      expect(await values(owner, ['a'])).toEqual(['before']);
      expect((await (await task.own()).acquire()).committed).toEqual([{ partition: 0, offset: 2 }]);
    });

    it('writes nothing of a batch that cannot be written whole', async () => {
      await using task = await open();
      const log = await task.own();
      await log.acquire();
      await log.commit(batch(task, 0, [[0, 0, 1]], ['whole'], flush({ a: 'whole' })));
      const broken: Commit = {
        ...batch(task, 1, [[0, 1, 2]], ['half'], flush({ a: 'half' })),
        outputs: [output(task, ['half'], 0), output(task, ['nowhere'], 17)],
      };
      await expect(log.commit(broken)).rejects.toThrow(/partition/i);
      await log[Symbol.asyncDispose]();
      const next = await task.own();
      expect((await next.acquire()).committed).toEqual([{ partition: 0, offset: 1 }]);
      expect(await task.outputs(0)).toEqual(['whole']);
      expect(await values(next, ['a'])).toEqual(['whole']);
    });

    it('refuses a job that is not the one its state belongs to', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(batch(task, 0, [[0, 0, 1]], [], flush({ a: '1' })));
      await first[Symbol.asyncDispose]();
      await expect((await task.own('digest 2')).acquire()).rejects.toMatchObject({ code: 'JOB_CHANGED' });
      expect((await (await task.own()).acquire()).committed).toEqual([{ partition: 0, offset: 1 }]);
    });
  });
}

/** What a log whose task reads several partitions keeps besides. */
function severalPartitions(name: string, open: () => Promise<TaskUnderTest>): void {
  describe(`${name} keeps the contract of a commit log for a task of several partitions`, () => {
    it('goes on for a new owner where the last commit stands', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(
        batch(
          task,
          0,
          [
            [0, 0, 5],
            [1, 0, 3],
          ],
          ['a'],
        ),
      );
      await first.commit(batch(task, 1, [[1, 3, 4]], ['b']));
      await first[Symbol.asyncDispose]();
      const { committed, metadata } = await (await task.own()).acquire();
      expect(committed).toEqual([
        { partition: 0, offset: 5 },
        { partition: 1, offset: 4 },
      ]);
      expect(metadata).toEqual(metadataOf(1));
    });

    it('gives the order in which records were read since the state was written, and forgets it when state has passed it', async () => {
      await using task = await open();
      const first = await task.own();
      await first.acquire();
      await first.commit(
        batch(
          task,
          0,
          [
            [0, 0, 5],
            [1, 0, 3],
          ],
          [],
        ),
      );
      await first.commit(
        batch(
          task,
          1,
          [
            [1, 3, 4],
            [0, 5, 6],
            [1, 4, 6],
          ],
          [],
        ),
      );
      const second = await task.own();
      const behind = await second.acquire();
      expect(behind.stateAt).toEqual([
        { partition: 0, offset: 0 },
        { partition: 1, offset: 0 },
      ]);
      expect(behind.stateMetadata).toBeNull();
      expect(behind.replay).toEqual([
        ranges([
          [0, 0, 5],
          [1, 0, 3],
        ]),
        ranges([
          [1, 3, 4],
          [0, 5, 6],
          [1, 4, 6],
        ]),
      ]);

      await second.commit(batch(task, 2, [[0, 6, 7]], [], flush({ a: '1' })));
      await second.commit(batch(task, 3, [[0, 7, 9]], []));
      const third = await (await task.own()).acquire();
      expect(third.stateAt).toEqual([
        { partition: 0, offset: 7 },
        { partition: 1, offset: 6 },
      ]);
      expect(third.stateMetadata).toEqual(metadataOf(2));
      expect(third.replay).toEqual([ranges([[0, 7, 9]])]);
    });
  });
}

type RangeTuple = readonly [partition: number, from: number, to: number];

function ranges(tuples: readonly RangeTuple[]): OffsetRange[] {
  return tuples.map(([partition, from, to]) => ({ partition, from, to }));
}

/** Where the ranges of a replay of one partition begin and end; they must follow each other. */
function covered(replay: readonly (readonly OffsetRange[])[]): [from: number | undefined, to: number | undefined] {
  const all = replay.flat();
  all.forEach(({ from }, i) => expect(from).toBe(all[i - 1]?.to ?? from));
  return [all[0]?.from, all.at(-1)?.to];
}

function metadataOf(batchSequence: number): Commit['metadata'] {
  return {
    batchSequence,
    watermarksMs: [{ partition: 0, watermarkMs: 1_000 + batchSequence }],
    jobDigest: 'digest 1',
    modelDigest: `model ${batchSequence}`,
  };
}

function batch(
  task: TaskUnderTest,
  batchSequence: number,
  tuples: readonly RangeTuple[],
  outputs: readonly string[],
  state: StateFlush | null = null,
): Commit {
  return {
    ranges: ranges(tuples),
    metadata: metadataOf(batchSequence),
    outputs: outputs.length === 0 ? [] : [output(task, outputs, 0)],
    state,
  };
}

function output(task: TaskUnderTest, texts: readonly string[], partition: number): Commit['outputs'][number] {
  return messageBatchOf(
    task.outputTopic,
    texts.map((value) => ({ value, partition, key: 'k', timestampMs: 1_000 })),
  );
}

function flush(changes: Readonly<Record<string, string | null>>): StateFlush {
  const writes = Object.entries(changes).map(([key, value]): StateWrite => ({
    operatorId: 'card',
    key: encoder.encode(key),
    value: value === null ? null : encoder.encode(value),
  }));
  return { writes };
}

async function values(log: CommitLog, keys: readonly string[]): Promise<(string | null)[]> {
  const found = await log.state.getMany(
    'card',
    keys.map((key) => encoder.encode(key)),
  );
  return found.map((value) => (value === null ? null : decoder.decode(value)));
}
