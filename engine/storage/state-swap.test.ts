import { describe, expect, it } from 'vitest';
import type { StateWrite } from '../state/state-store.ts';
import { systemClock } from '../time/clock.ts';
import { EmbeddedCommitLog } from './embedded-commit-log.ts';
import { messageBatchOf } from './message-batch-builder.ts';
import { StateSwap } from './state-swap.ts';
import { StateTable } from './state-table.ts';
import { Storage } from './storage.ts';
import { readStoredJob } from './stored-job.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

const put = (operatorId: string, key: string, value: string): StateWrite => {
  return { operatorId, key: Buffer.from(key), value: Buffer.from(value) };
};

/** A job with state of two operators, which has committed at 10 and is not held by anybody. */
async function openJob(directory: string): Promise<Storage> {
  const storage = await Storage.open({ directory, access: 'write', clock: systemClock });
  storage.ensureTopic('input', { partitionCount: 1 });
  await storage.append(
    messageBatchOf(
      'input',
      Array.from({ length: 20 }, () => ({ value: 'x' })),
    ),
  );
  await using log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
  await log.acquire();
  const metadata = { batchSequence: 0, watermarksMs: [], jobDigest: 'd', modelDigest: '' };
  const writes = [put('card', 'a', 'old'), put('card', 'b', 'old'), put('shop', 's', 'old')];
  await log.commit({ ranges: [{ partition: 0, from: 0, to: 10 }], metadata, outputs: [], state: { writes } });
  return storage;
}

async function stateOf(storage: Storage): Promise<readonly string[]> {
  const table = new StateTable(storage.environment, 'job');
  const found: string[] = [];
  for (const operatorId of ['card', 'shop']) {
    for await (const { key, value } of table.scan(operatorId)) {
      found.push(`${operatorId} ${Buffer.from(key).toString()} ${Buffer.from(value).toString()}`);
    }
  }
  return found;
}

const old = ['card a old', 'card b old', 'shop s old'];

describe('a swap of state', () => {
  it('has no effect before it is activated, and leaves nothing behind when the next one begins', async () => {
    using directory = temporaryDirectory();
    await using storage = await openJob(directory.path);
    const claim = await storage.claims.take('job job');
    const keys = (): number => storage.environment.state.getKeysCount();
    const before = keys();
    const dead = StateSwap.begin(storage, 'job', claim);
    dead.put([put('card', 'c', 'new'), put('shop', 't', 'new')]);
    expect(await stateOf(storage)).toEqual(old);
    expect(keys()).toBe(before + 2);
    StateSwap.begin(storage, 'job', claim);
    expect(keys()).toBe(before);
    expect(await stateOf(storage)).toEqual(old);
  });

  it('replaces all state, or that of some operators, with the place where the job stands', async () => {
    using directory = temporaryDirectory();
    await using storage = await openJob(directory.path);
    const claim = await storage.claims.take('job job');
    const stored = readStoredJob(storage, 'job');
    if (stored === null) throw new Error('the job has committed');
    const some = StateSwap.begin(storage, 'job', claim);
    some.put([put('card', 'c', 'new')]);
    some.activate({ row: stored.row, replaces: 'staged', order: 'stays' });
    expect(await stateOf(storage)).toEqual(['card c new', 'shop s old']);
    const all = StateSwap.begin(storage, 'job', claim);
    all.stage('shop');
    all.put([put('card', 'd', 'newer')]);
    const row = { ...stored.row, committed: [{ partition: 0, offset: 7 }] };
    all.activate({ row, replaces: 'all', order: { recorded: [] } });
    expect(await stateOf(storage)).toEqual(['card d newer']);
    expect(readStoredJob(storage, 'job')).toMatchObject({ row: { committed: row.committed }, order: [], replay: [] });
    expect(storage.environment.state.getKeysCount()).toBe(1);
  });

  it('is taken up by the next run of the job, whose flushes go on from it', async () => {
    using directory = temporaryDirectory();
    await using storage = await openJob(directory.path);
    const claim = await storage.claims.take('job job');
    const stored = readStoredJob(storage, 'job');
    if (stored === null) throw new Error('the job has committed');
    const swap = StateSwap.begin(storage, 'job', claim);
    swap.put([put('card', 'a', 'new')]);
    swap.activate({ row: stored.row, replaces: 'staged', order: 'stays' });
    storage.claims.release(claim);
    await using log = new EmbeddedCommitLog({ storage, job: 'job', jobDigest: 'd', inputTopic: 'input' });
    expect(await log.acquire()).toMatchObject({ stateAt: [{ partition: 0, offset: 10 }], replay: [] });
    const metadata = { batchSequence: 1, watermarksMs: [], jobDigest: 'd', modelDigest: '' };
    const writes = [put('card', 'b', 'newest')];
    await log.commit({ ranges: [{ partition: 0, from: 10, to: 11 }], metadata, outputs: [], state: { writes } });
    expect(await stateOf(storage)).toEqual(['card a new', 'card b newest', 'shop s old']);
  });
});
