import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ClusterUnderTest, commitThrough, outs, valueOf } from '../../../tests/cluster/cluster-under-test.ts';
import type { SluiceError } from '../../error.ts';

let cluster: ClusterUnderTest;

beforeAll(async () => {
  cluster = await ClusterUnderTest.start();
});

afterEach(() => cluster.mend());

afterAll(() => cluster[Symbol.asyncDispose]());

describe('a commit log whose connections break', () => {
  it('publishes each output once and in order, however often and wherever they are cut', async () => {
    const task = await cluster.newTask();
    const log = task.own();
    await log.acquire();
    let bytes = 1_000;
    // Each time somewhat later than the last, so that every kind of request is hit.
    cluster.proxy.cutEvery(() => (bytes = bytes > 6_000 ? 1_013 : bytes + 397));
    const met: SluiceError[] = [];
    for (let from = 0; from < 200; from += 5) {
      met.push(...(await commitThrough(log, task.batch(from, from + 5, from % 20 === 0 ? { k: `at ${from}` } : null))));
    }
    cluster.proxy.cutEvery(null);

    expect(cluster.proxy.cuts).toBeGreaterThan(5);
    expect(await task.outputs()).toEqual(outs(0, 200));
    expect(await task.own().acquire()).toMatchObject({ committed: [{ offset: 200 }] });
  });

  it('publishes a batch once when the broker takes the commit and its answers are lost', async () => {
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
            cluster.proxy.setMode('withhold answers');
            await commit().finally(() => {
              cluster.proxy.setMode('pass');
              cluster.proxy.cut();
            });
          },
        }),
    });
    await log.acquire();
    await commitThrough(log, task.batch(0, 3));
    expect(await task.outputs()).toEqual(outs(0, 3));
  });

  it('goes on after the broker was killed and came back', async () => {
    const task = await cluster.newTask();
    const log = task.own();
    await log.acquire();
    await log.commit(task.batch(0, 3, { k: 'at 3' }));
    const bringBack = await cluster.killBroker();
    const committing = commitThrough(log, task.batch(3, 6, { k: 'at 6' }));
    await bringBack();
    await committing;

    expect(await task.outputs()).toEqual(outs(0, 6));
    expect(await valueOf(log, 'k')).toBe('at 6');
  });
});
