import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import {
  ClusterUnderTest,
  commitThrough,
  failure,
  metadataAt,
  outs,
  valueOf,
} from '../../../tests/cluster/cluster-under-test.ts';
import { SluiceError } from '../../error.ts';
import { commitLogConformance } from '../../execution/commit-log.conformance.ts';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { RedisTaskState } from '../../state/redis/redis-task-state.ts';

let cluster: ClusterUnderTest;

beforeAll(async () => {
  cluster = await ClusterUnderTest.start();
});

afterEach(() => cluster.mend());

afterAll(() => cluster[Symbol.asyncDispose]());

commitLogConformance("a task's commit log in Kafka and Redis", 'one partition a task', async () => {
  const task = await cluster.newTask(2);
  return {
    outputTopic: `${task.name}.out`,
    own: (jobDigest = 'digest 1') => Promise.resolve(task.own({ job: jobDigest })),
    outputs: (partition) => task.outputs(partition),
    // Its topics and owners are closed after each test.
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
});

describe("a task's commit log in Kafka and Redis", () => {
  it('finds nothing before the first commit, and the last commit after it', async () => {
    const task = await cluster.newTask();
    const first = task.own();
    const nothing = { committed: [], metadata: null, stateAt: [], stateMetadata: null, replay: [] };
    expect(await first.acquire()).toEqual(nothing);
    await first.commit(task.batch(7, 10));
    await first.commit(task.batch(10, 12, { k: 'at 12' }));
    await first.commit(task.batch(12, 15));
    await first.commit(task.batch(15, 16));

    const second = task.own();
    expect(await second.acquire()).toEqual({
      committed: [{ partition: 0, offset: 16 }],
      metadata: metadataAt(16),
      stateAt: [{ partition: 0, offset: 12 }],
      stateMetadata: metadataAt(12),
      replay: [[{ partition: 0, from: 12, to: 16 }]],
    });
    expect(await valueOf(second, 'k')).toBe('at 12');
    expect(await task.outputs()).toEqual(outs(7, 16));
  });

  it('replays from where the task began while no state was written yet', async () => {
    const task = await cluster.newTask();
    const first = task.own();
    await first.acquire();
    await first.commit(task.batch(7, 10));
    expect(await task.own().acquire()).toMatchObject({
      stateAt: [{ partition: 0, offset: 7 }],
      stateMetadata: null,
      replay: [[{ partition: 0, from: 7, to: 10 }]],
    });
  });

  it('fences the former owner in Kafka and in Redis', async () => {
    const task = await cluster.newTask();
    const former = task.own();
    await former.acquire();
    await former.commit(task.batch(0, 2, { k: 'right' }));
    const latter = task.own();
    await latter.acquire();

    const stale = former.commit(task.batch(2, 4, { k: 'wrong' }));
    await expect(stale).rejects.toMatchObject({ code: 'TASK_FENCED', retryable: 'permanent' });
    await latter.commit(task.batch(2, 5, { k: 'left' }));

    expect(await task.outputs()).toEqual(outs(0, 5));
    expect(await valueOf(latter, 'k')).toBe('left');
  });

  it('leaves nothing visible of a transaction whose owner died in it', async () => {
    const task = await cluster.newTask();
    // It dies once all of its transaction but the commit is with the broker: were it fenced before, the commit would be refused, not lost.
    let die = (): void => undefined;
    const died = new Promise<void>((resolve) => (die = resolve));
    const dying = task.own({
      openProducer: () =>
        task.openProducer({
          onCommit: () => {
            die();
            return new Promise(() => undefined);
          },
        }),
    });
    await dying.acquire();
    await Promise.race([died, dying.commit(task.batch(0, 3))]);

    const next = task.own();
    expect(await next.acquire()).toMatchObject({ committed: [] });
    await next.commit(task.batch(0, 2));
    expect(await task.outputs()).toEqual(outs(0, 2));
  });

  it('refuses a job that its state does not belong to', async () => {
    const task = await cluster.newTask();
    const first = task.own();
    await first.acquire();
    await first.commit(task.batch(0, 1));
    await expect(task.own({ job: 'job 2' }).acquire()).rejects.toMatchObject({ code: 'JOB_CHANGED' });
    expect(await task.own({ servesJob: () => true }).acquire()).toMatchObject({ committed: [{ offset: 1 }] });
  });

  it('commits nothing once the partition is lost', async () => {
    const task = await cluster.newTask();
    const lost = new AbortController();
    const log = task.own({ lost: lost.signal });
    await log.acquire();
    await log.commit(task.batch(0, 1));
    lost.abort();
    await expect(log.commit(task.batch(1, 2))).rejects.toMatchObject({ code: 'TASK_FENCED' });
    expect(await task.outputs()).toEqual(outs(0, 1));
  });

  it('commits nothing once it is closed, though the commit had begun, and opens no producer that would fence the next owner', async () => {
    const task = await cluster.newTask();
    let opened = 0;
    let reached = (): void => undefined;
    const atPosition = new Promise<void>((resolve) => (reached = resolve));
    let goOn = (): void => undefined;
    const closed = new Promise<void>((resolve) => (goOn = resolve));
    const log = task.own({
      openProducer: () => {
        opened++;
        return task.openProducer({
          onPosition: async (send) => {
            reached();
            await closed;
            await send();
          },
        });
      },
    });
    await log.acquire();
    const committing = commitThrough(log, task.batch(0, 3)).catch((error: unknown) => error);
    await atPosition;
    await log[Symbol.asyncDispose]();
    goOn();
    expect(await committing).toMatchObject({ code: 'TASK_FENCED' });
    expect(opened).toBe(1);
    expect(await task.outputs()).toEqual([]);
  });

  it('halts where the state is ahead of the position', async () => {
    const task = await cluster.newTask();
    const first = task.own();
    await first.acquire();
    await first.commit(task.batch(0, 5, { k: 'at 5' }));
    await expect(task.own({ committed: () => Promise.resolve(null) }).acquire()).rejects.toMatchObject({
      code: 'STATE_AHEAD_OF_LOG',
      message: expect.stringContaining('the position is gone'),
    });
  });

  it('says which output partition does not exist, and writes nothing of the batch', async () => {
    const task = await cluster.newTask();
    const log = task.own();
    await log.acquire();
    const whole = task.batch(0, 1);
    const broken = {
      ...whole,
      outputs: [...whole.outputs, messageBatchOf(`${task.name}.out`, [{ value: 'nowhere', partition: 9 }])],
    };
    await expect(log.commit(broken)).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      retryable: 'permanent',
      message: expect.stringContaining(`${task.name}.out`),
    });
    await log.commit(whole);
    expect(await task.outputs()).toEqual(outs(0, 1));
  });
});

describe('a commit whose answer does not come', () => {
  it.each([
    ['was done, and a resumed call says so', 'after', 'resume'],
    ['was done, and the producer is of no use any more', 'after', 'broken'],
    ['never arrived, and a resumed call does it', 'before', 'resume'],
    ['never arrived, and the producer is of no use any more', 'before', 'broken'],
  ] as const)('is found out about, and its batch is published once: it %s', async (_, when, fault) => {
    const task = await cluster.newTask();
    let faults = 1;
    const log = task.own({
      openProducer: () =>
        task.openProducer({
          onCommit: async (commit) => {
            if (faults-- <= 0) {
              await commit();
              return;
            }
            if (when === 'after') await commit();
            throw failure(fault);
          },
        }),
    });
    await log.acquire();
    await commitThrough(log, task.batch(0, 3, { k: 'at 3' }));
    await commitThrough(log, task.batch(3, 5));

    expect(await task.outputs()).toEqual(outs(0, 5));
    expect(await task.own().acquire()).toMatchObject({ committed: [{ offset: 5 }], stateAt: [{ offset: 3 }] });
  });

  it('is not believed to be ours when another owner has committed since', async () => {
    const task = await cluster.newTask();
    let faults = 1;
    const log = task.own({
      openProducer: () =>
        task.openProducer({
          onCommit: (commit) => (faults-- > 0 ? Promise.reject(failure('broken')) : commit()),
        }),
    });
    await log.acquire();
    const batch = task.batch(0, 3);
    await expect(log.commit(batch)).rejects.toMatchObject({ code: 'TRANSACTION_FAILED' });
    const other = task.own();
    await other.acquire();
    await other.commit(task.batch(0, 3));

    await expect(log.commit(batch)).rejects.toMatchObject({ code: 'TASK_FENCED' });
    expect(await task.outputs()).toEqual(outs(0, 3));
  });

  it('is made again after an error that aborts the transaction', async () => {
    const task = await cluster.newTask();
    let faults = 2;
    const log = task.own({
      openProducer: () =>
        task.openProducer({
          onPosition: async (send) => {
            await send();
            if (faults-- > 0) throw failure('abort');
          },
        }),
    });
    await log.acquire();
    const met = await commitThrough(log, task.batch(0, 3));
    expect(met).toHaveLength(2);
    expect(await task.outputs()).toEqual(outs(0, 3));
  });
});

describe('state that follows the commit', () => {
  it('is written when Redis is back, without publishing the batch again', async () => {
    const task = await cluster.newTask();
    let faults = 2;
    const state = new RedisTaskState(cluster.redis, { task: task.name, owner: 'flaky' });
    const write = state.write.bind(state);
    state.write = async (step) => {
      // Once before it arrives, once after it was applied.
      if (faults === 1) await write(step);
      if (faults-- > 0) throw new SluiceError('REDIS_UNAVAILABLE', 'a test says so', { retryable: 'transient' });
      return write(step);
    };
    const log = task.own({ state });
    await log.acquire();
    const met = await commitThrough(log, task.batch(0, 3, { k: 'at 3' }));
    await commitThrough(log, task.batch(3, 4, { k: 'at 4' }));

    expect(met.map(({ code }) => code)).toEqual(['REDIS_UNAVAILABLE', 'REDIS_UNAVAILABLE']);
    expect(await task.outputs()).toEqual(outs(0, 4));
    expect(await valueOf(log, 'k')).toBe('at 4');
  });

  it('is brought up to the last batch by a commit that covers nothing, as at the end of a run', async () => {
    const task = await cluster.newTask();
    const log = task.own();
    await log.acquire();
    await log.commit({ ...task.batch(0, 0, { k: 'nothing yet' }), ranges: [], outputs: [] });
    await log.commit(task.batch(0, 3));
    await log.commit({ ...task.batch(3, 3, { k: 'at 3' }), ranges: [], outputs: [] });
    const next = task.own();
    expect(await next.acquire()).toMatchObject({
      committed: [{ offset: 3 }],
      stateAt: [{ offset: 3 }],
      stateMetadata: metadataAt(3),
      replay: [],
    });
    expect(await valueOf(next, 'k')).toBe('at 3');
    expect(await task.outputs()).toEqual(outs(0, 3));
  });

  it('is behind the position, never ahead of it, when the owner dies between the two', async () => {
    const task = await cluster.newTask();
    const state = new RedisTaskState(cluster.redis, { task: task.name, owner: 'dying' });
    const first = task.own({ state });
    await first.acquire();
    await first.commit(task.batch(0, 3, { k: 'at 3' }));
    state.write = () => Promise.reject(new SluiceError('CRASH', 'a test says so'));
    await expect(first.commit(task.batch(3, 6, { k: 'at 6' }))).rejects.toMatchObject({ code: 'CRASH' });

    const second = task.own();
    expect(await second.acquire()).toMatchObject({
      committed: [{ offset: 6 }],
      stateAt: [{ offset: 3 }],
      replay: [[{ from: 3, to: 6 }]],
    });
    expect(await valueOf(second, 'k')).toBe('at 3');
  });

  it('is rebuilt from where the task began after Redis has lost it', async () => {
    const task = await cluster.newTask();
    const log = task.own();
    await log.acquire();
    await log.commit(task.batch(4, 6, { k: 'at 6' }));
    await log.commit(task.batch(6, 8, { k: 'at 8' }));
    await cluster.redis.del(`sluice:{${task.name}}`, `sluice:{${task.name}}:card`);

    await expect(log.commit(task.batch(8, 9, { k: 'at 9' }))).rejects.toMatchObject({ code: 'STATE_WENT_BACK' });
    expect(await task.own().acquire()).toMatchObject({
      committed: [{ offset: 9 }],
      stateAt: [{ offset: 4 }],
      stateMetadata: null,
      replay: [[{ from: 4, to: 9 }]],
    });
  });
});
