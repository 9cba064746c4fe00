import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ClusterUnderTest, outs } from '../../../tests/cluster/cluster-under-test.ts';

let cluster: ClusterUnderTest;

beforeAll(async () => {
  cluster = await ClusterUnderTest.start();
});

afterEach(() => cluster.mend());

afterAll(() => cluster[Symbol.asyncDispose]());

describe("a task's producer", () => {
  it('waits for room when a batch is larger than its queue', async () => {
    const task = await cluster.newTask();
    await using producer = await task.openProducer({}, { maxQueuedMessages: 100 });
    await producer.init();
    await producer.begin();
    for (const messages of task.batch(0, 1_000).outputs) await producer.send(messages);
    await producer.commit();
    expect(await task.outputs()).toEqual(outs(0, 1_000));
  });

  it('is closed in the middle of a call without harm to the process, once the call is over', async () => {
    const task = await cluster.newTask();
    const producer = await task.openProducer();
    await producer.init();
    await producer.begin();
    for (const messages of task.batch(0, 3).outputs) await producer.send(messages);
    cluster.proxy.setMode('withhold answers');
    const committing = producer.commit().then(
      () => 'committed',
      () => 'failed',
    );
    await producer[Symbol.asyncDispose]();
    expect(await committing).toBe('failed');
  });

  it('takes no call once it is being closed, as when its task ends between two calls of a commit', async () => {
    const task = await cluster.newTask();
    const producer = await task.openProducer();
    await producer.init();
    await producer.begin();
    const closing = producer[Symbol.asyncDispose]();
    for (const messages of task.batch(0, 3).outputs) {
      await expect(producer.send(messages)).rejects.toMatchObject({ fault: 'broken' });
    }
    await expect(producer.sendPosition({ offset: 3, metadata: '' })).rejects.toMatchObject({ fault: 'broken' });
    await expect(producer.commit()).rejects.toMatchObject({ fault: 'broken' });
    await closing;
  });

  it('says of a commit that timed out that it may be resumed, and resumes it', async () => {
    const task = await cluster.newTask();
    await using producer = await task.openProducer({}, { callTimeoutMs: 500 });
    cluster.proxy.setMode('pass');
    await producer.init();
    await producer.begin();
    for (const messages of task.batch(0, 3).outputs) await producer.send(messages);
    cluster.proxy.setMode('withhold answers');
    await expect(producer.commit()).rejects.toMatchObject({ fault: 'resume', retryable: 'transient' });
    cluster.proxy.setMode('pass');
    cluster.proxy.cut();
    await expect
      .poll(
        () =>
          producer.commit().then(
            () => 'done',
            () => 'not yet',
          ),
        { timeout: 120_000 },
      )
      .toBe('done');
    expect(await task.outputs()).toEqual(outs(0, 3));
  });

  it('tells a former producer that it is fenced', async () => {
    const task = await cluster.newTask();
    await using former = await task.openProducer();
    await former.init();
    await former.begin();
    for (const messages of task.batch(0, 3).outputs) await former.send(messages);
    await using latter = await task.openProducer();
    await latter.init();
    await expect(former.commit()).rejects.toMatchObject({ fault: 'fenced', retryable: 'permanent' });
    expect(await task.outputs()).toEqual([]);
  });
});
