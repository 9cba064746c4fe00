import { describe, expect, it } from 'vitest';
import { commitLogConformance, type TaskUnderTest } from '../execution/commit-log.conformance.ts';
import { stateReaderConformance, type StateUnderTest } from '../state/state-reader.conformance.ts';
import { systemClock } from '../time/clock.ts';
import { EmbeddedCommitLog, forgetJob } from './embedded-commit-log.ts';
import { messageBatchOf } from './message-batch-builder.ts';
import { Storage } from './storage.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';
import { topicTexts } from './testing/message-texts.ts';

async function openTask(): Promise<TaskUnderTest & { readonly storage: Storage }> {
  const directory = temporaryDirectory();
  const storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  storage.createTopic('input', { partitionCount: 2 });
  storage.createTopic('output', { partitionCount: 2 });
  await storage.append(
    messageBatchOf(
      'input',
      Array.from({ length: 2_000 }, (_, index) => ({ value: `record ${index}`, partition: index % 2 })),
    ),
  );
  const owners: EmbeddedCommitLog[] = [];
  return {
    storage,
    outputTopic: 'output',
    own: (jobDigest = 'digest 1') => {
      const log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest, inputTopic: 'input' });
      owners.push(log);
      return Promise.resolve(log);
    },
    outputs: (partition) =>
      Promise.resolve(
        topicTexts(storage, 'output')
          .filter((message) => message.partition === partition)
          .map(({ value }) => value),
      ),
    [Symbol.asyncDispose]: async () => {
      for (const owner of owners) await owner[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

commitLogConformance('the embedded commit log', 'two partitions a task', openTask);

stateReaderConformance('the embedded commit log', async (): Promise<StateUnderTest> => {
  const task = await openTask();
  const log = await task.own();
  await log.acquire();
  let batchSequence = 0;
  return {
    reader: log.state,
    write: async (writes) => {
      const metadata = { batchSequence, watermarksMs: [], jobDigest: 'digest 1', modelDigest: '' };
      const ranges = [{ partition: 0, from: batchSequence, to: batchSequence + 1 }];
      batchSequence += 1;
      await log.commit({ ranges, metadata, outputs: [], state: { writes } });
    },
    [Symbol.asyncDispose]: () => task[Symbol.asyncDispose](),
  };
});

describe('the embedded commit log', () => {
  it('halts by name when retention has deleted records that the state has not seen', async () => {
    await using task = await openTask();
    const { storage } = task;
    storage.createTopic('short', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 1 } });
    for (let count = 0; count < 3; count++) await storage.append(messageBatchOf('short', [{ value: 'x' }]));
    const log = new EmbeddedCommitLog({ storage, job: 'other', jobDigest: 'd', inputTopic: 'short' });
    await log.acquire();
    const metadata = { batchSequence: 0, watermarksMs: [], jobDigest: 'd', modelDigest: '' };
    await log.commit({ ranges: [{ partition: 0, from: 0, to: 2 }], metadata, outputs: [], state: null });
    await log[Symbol.asyncDispose]();
    storage.applyRetention();
    const next = new EmbeddedCommitLog({ storage, job: 'other', jobDigest: 'd', inputTopic: 'short' });
    await expect(next.acquire()).rejects.toMatchObject({
      code: 'LOG_TRUNCATED',
      fields: { topic: 'short', stateOffset: 0, startOffset: 2 },
    });
  });

  it('halts by name when the input topic was made anew', async () => {
    await using task = await openTask();
    const log = await task.own();
    await log.acquire();
    const metadata = { batchSequence: 0, watermarksMs: [], jobDigest: 'digest 1', modelDigest: '' };
    await log.commit({ ranges: [{ partition: 0, from: 0, to: 2 }], metadata, outputs: [], state: { writes: [] } });
    await log[Symbol.asyncDispose]();
    task.storage.deleteTopic('input');
    task.storage.createTopic('input', { partitionCount: 2 });
    await expect((await task.own()).acquire()).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
  });

  it('forgets a job on request, and starts it anew', async () => {
    await using task = await openTask();
    const log = await task.own();
    await log.acquire();
    const metadata = { batchSequence: 0, watermarksMs: [], jobDigest: 'digest 1', modelDigest: '' };
    const writes = [{ operatorId: 'card', key: Uint8Array.of(1), value: Uint8Array.of(2) }];
    await log.commit({ ranges: [{ partition: 0, from: 0, to: 2 }], metadata, outputs: [], state: { writes } });
    await log[Symbol.asyncDispose]();
    await forgetJob(task.storage, 'job');
    const next = await task.own('another digest');
    expect((await next.acquire()).committed).toEqual([]);
    expect(await next.state.getMany('card', [Uint8Array.of(1)])).toEqual([null]);
  });

  it('refuses a key that is too long for the store, and leaves the state as it was', async () => {
    await using task = await openTask();
    const log = await task.own();
    await log.acquire();
    const metadata = { batchSequence: 0, watermarksMs: [], jobDigest: 'digest 1', modelDigest: '' };
    const writes = [
      { operatorId: 'card', key: Uint8Array.of(1), value: Uint8Array.of(2) },
      { operatorId: 'card', key: new Uint8Array(2_000), value: Uint8Array.of(2) },
    ];
    await expect(
      log.commit({ ranges: [{ partition: 0, from: 0, to: 2 }], metadata, outputs: [], state: { writes } }),
    ).rejects.toMatchObject({ code: 'STATE_KEY_TOO_LONG' });
    expect(await log.state.getMany('card', [Uint8Array.of(1)])).toEqual([null]);
  });
});
