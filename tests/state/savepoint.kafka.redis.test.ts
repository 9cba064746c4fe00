import { join } from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveCluster } from '../../jobs/state/cluster-savepoint.ts';
import { verifyCluster, viewCluster, viewClusterAt } from '../../jobs/state/cluster-state.ts';
import { restoreLocal, saveLocal } from '../../jobs/state/local-savepoint.ts';
import { rebuildCluster } from '../../jobs/state/rebuild-cluster.ts';
import { defaultPlace } from '../../jobs/state/savepoint.ts';
import { restoreCluster } from '../../jobs/state/restore-cluster.ts';
import { stateOfKey, type StateRow, type StateView } from '../../jobs/state/state-view.ts';
import { cardJob, PaymentsCluster, wholeJob } from './payments-cluster.ts';
import { StateUnderTest, type Payment } from './state-under-test.ts';

const partitions = 4;
let cluster: PaymentsCluster;

beforeAll(async () => {
  cluster = await PaymentsCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Cards' payments over some hours, each seventh of them sent twice. */
const payments: readonly Payment[] = Array.from({ length: 400 }, (_, index) => {
  const number = index % 7 === 6 ? index - 1 : index;
  const at = Date.UTC(2024, 0, 1) + number * 20_000 - (number % 5) * 4_000;
  return { id: `id ${number}`, at, card: `card-${(number * 3) % 11}`, terminal: 'shop', amount: (number * 13) % 40 };
});
const cut = 230;

const clusterAnswers = async (name: string): Promise<readonly string[]> => (await cluster.answersOf(name)).toSorted();

/** An answer without what is counted over records of several partitions, whose order is another in each run (semantics, "Per-key order and determinism"). */
function ofCard(answer: string): unknown {
  const { features, ...rest } = JSON.parse(answer) as { readonly features: Readonly<Record<string, number | null>> };
  const own = Object.entries(features).filter(([name]) => !name.startsWith('terminal'));
  return { ...rest, features: Object.fromEntries(own) };
}

describe('a savepoint between the embedded store and Redis', () => {
  it('takes an embedded job to a cluster, whose answers are those of a job that was never moved', async () => {
    await using test = await StateUnderTest.open(partitions, 'moved');
    const job = await cardJob(test, 'moved');
    await test.add(payments.slice(0, cut));
    await test.run(job, 17);
    const before = new Set(await test.answers('moved-answers'));
    const path = join(test.folder, 'moved.savepoint');
    await saveLocal(job, test, { path, name: 'moved' });
    await test.add(payments.slice(cut));
    await test.run(job);
    const expected = (await test.answers('moved-answers')).filter((answer) => !before.has(answer));
    expect(expected.length).toBeGreaterThan(100);

    await cluster.newTopic('moved');
    await expect(restoreCluster(job, cluster.store, path, 'refuse')).rejects.toMatchObject({
      code: 'SAVEPOINT_POSITIONS',
    });
    await cluster.produce('moved', payments);
    const restored = await restoreCluster(job, cluster.store, path, 'refuse');
    expect(restored).toMatchObject({ name: 'moved', tasks: partitions });
    await cluster.run(job);
    expect(await clusterAnswers('moved')).toEqual(expected.toSorted());
    await expect(restoreCluster(job, cluster.store, path, 'refuse')).rejects.toMatchObject({
      code: 'STATE_EXISTS',
    });
    await expect(restoreCluster(job, cluster.store, path, 'replace')).rejects.toMatchObject({
      code: 'SAVEPOINT_POSITIONS',
    });
  });

  it('takes a job of a cluster to the embedded profile, and to a cluster whose Redis has lost everything', async () => {
    await using test = await StateUnderTest.open(partitions, 'brought');
    const job = await cardJob(test, 'brought');
    await cluster.newTopic('brought');
    await cluster.produce('brought', payments.slice(0, cut));
    await cluster.run(job);
    const path = join(test.folder, 'brought.savepoint');
    const looked = await viewCluster(job, cluster.store, (view) => stateOfKey(view, ['card-3'], 'card/0'));
    expect(looked.length).toBeGreaterThan(5);
    expect(looked[0]).toMatchObject({ operator: 'card/0', key: { card: 'card-3' } });
    const whole = await verifyCluster(job, cluster.store, 1);
    expect(whole).toMatchObject({ drifts: [], replayedRecords: cut });
    expect(whole.keys).toBeGreaterThan(30);
    const saved = await saveCluster(job, cluster.store, { path, name: 'brought' });
    expect(saved).toMatchObject({ tasks: partitions });
    await test.add(payments.slice(0, cut));
    await restoreLocal(job, test, path, 'refuse');
    await test.add(payments.slice(cut));
    await test.run(job);

    await using twin = await StateUnderTest.open(partitions, 'brought');
    const same = await cardJob(twin, 'brought');
    await twin.add(payments.slice(0, cut));
    await twin.run(same);
    const before = new Set(await twin.answers('brought-answers'));
    await twin.add(payments.slice(cut));
    await twin.run(same);
    const all = await twin.answers('brought-answers');
    const expected = all.filter((answer) => !before.has(answer)).toSorted();
    expect((await test.answers('brought-answers')).toSorted()).toEqual(expected);

    // Redis has lost everything, and has a key in the state's place that must be gone afterwards.
    const client = new Redis(cluster.redis.port);
    const hash = 'sluice:{sluice.brought.brought-0}:card/0';
    const [card = ''] = await client.hkeys(hash);
    await client.hset(hash, card, 'bytes');
    expect((await verifyCluster(job, cluster.store, 1)).drifts).toMatchObject([{ operator: 'card/0', key: [card] }]);
    await client.flushall();
    await client.hset(hash, 'stray', 'bytes');
    const former = (await clusterAnswers('brought')).length;
    await restoreCluster(job, cluster.store, path, 'replace');
    expect(await client.hexists(hash, 'stray')).toBe(0);
    expect(await client.hlen(hash)).toBeGreaterThan(0);
    client.disconnect();
    await cluster.produce('brought', payments.slice(cut));
    await cluster.run(job);
    const answers = await clusterAnswers('brought');
    expect(answers).toHaveLength(former + expected.length);
    expect(answers.filter((answer) => expected.includes(answer))).toEqual(expected);
  });
});

describe('a savepoint of a job of several stages', () => {
  /** A terminal's payments come from one partition, so that their order is the same in every run. */
  const ofTerminals: readonly Payment[] = payments.map((payment) => ({
    ...payment,
    terminal: `shop-${defaultPlace(Buffer.from(payment.card), partitions)}`,
  }));
  const [former, later] = [ofTerminals.slice(0, cut), ofTerminals.slice(cut)];

  it('takes it from the embedded profile to a cluster, which answers as one that was never moved', async () => {
    await using test = await StateUnderTest.open(partitions, 'stages-moved');
    const job = await wholeJob(test, 'stages-moved');
    await test.add(former);
    await test.run(job, 17);
    const before = new Set(await test.answers('stages-moved-answers'));
    const path = join(test.folder, 'stages-moved.savepoint');
    await saveLocal(job, test, { path, name: 'moved' });
    await test.add(later);
    await test.run(job);
    const expected = (await test.answers('stages-moved-answers')).filter((answer) => !before.has(answer));
    expect(expected.length).toBeGreaterThan(100);

    await cluster.newTopic('stages-moved');
    await cluster.produce('stages-moved', ofTerminals);
    const restored = await restoreCluster(job, cluster.store, path, 'refuse');
    expect(restored).toMatchObject({ name: 'moved', tasks: 2 * partitions });
    await cluster.run(job);
    expect(await clusterAnswers('stages-moved')).toEqual(expected.toSorted());

    // What the state behind the exchange came from is in no log here: its loss is not made good by half.
    const client = new Redis(cluster.redis.port);
    for (const key of await client.keys('sluice:{sluice.stages-moved.terminal*')) await client.del(key);
    client.disconnect();
    await cluster.produce('stages-moved', later.slice(0, 5));
    await expect(cluster.run(job)).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
  });

  it('is of all its stages, where nothing is under way between them, and makes a lost Redis good, or an embedded job', async () => {
    await using test = await StateUnderTest.open(partitions, 'stages-kept');
    const job = await wholeJob(test, 'stages-kept');
    await cluster.newTopic('stages-kept');
    await cluster.produce('stages-kept', former);
    await cluster.run(job);
    const path = join(test.folder, 'stages-kept.savepoint');
    const saved = await saveCluster(job, cluster.store, { path, name: 'kept' });
    // A task that had nothing to read has nothing to keep.
    const terminals = new Set(former.map(({ terminal }) => defaultPlace(Buffer.from(terminal), partitions)));
    expect(saved.tasks).toBe(partitions + terminals.size);
    const rows = (): Promise<unknown> =>
      viewCluster(job, cluster.store, (view) => stateOfKey(view, ['shop-1'], 'terminal/0'));
    const before = await rows();
    const answered = await clusterAnswers('stages-kept');

    const client = new Redis(cluster.redis.port);
    for (const key of await client.keys('sluice:{sluice.stages-kept*')) await client.del(key);
    client.disconnect();
    expect((await restoreCluster(job, cluster.store, path, 'replace')).keys).toBe(saved.keys);
    expect(await rows()).toEqual(before);
    await cluster.produce('stages-kept', later);
    await cluster.run(job);
    const all = await clusterAnswers('stages-kept');

    await using twin = await StateUnderTest.open(partitions, 'stages-kept');
    const same = await wholeJob(twin, 'stages-kept');
    await twin.add(ofTerminals);
    await twin.run(same);
    expect(all).toEqual((await twin.answers('stages-kept-answers')).toSorted());

    await test.add(former);
    await restoreLocal(job, test, path, 'refuse');
    await test.add(later);
    await test.run(job);
    const told = new Set(answered);
    expect((await test.answers('stages-kept-answers')).toSorted()).toEqual(all.filter((answer) => !told.has(answer)));
  });
});

describe('the state of a job on a cluster', () => {
  it.each([
    ['of one stage', 'rebuilt', cardJob],
    ['of two stages', 'rebuilt-whole', wholeJob],
  ])('%s is computed anew from its topics, with nothing emitted, and the job goes on', async (_what, name, jobOf) => {
    await using test = await StateUnderTest.open(partitions, name);
    const job = await jobOf(test, name);
    const twinName = `${name}-twin`;
    await cluster.newTopic(name);
    await cluster.newTopic(twinName);
    await cluster.produce(name, payments.slice(0, cut));
    await cluster.run(job);
    const client = new Redis(cluster.redis.port);
    const hashes = (await client.keys(`sluice:{sluice.${name}.*card/0`)).toSorted();
    expect(hashes.length).toBeGreaterThan(2);
    const states = (): Promise<readonly Record<string, Buffer>[]> =>
      Promise.all(hashes.map((hash) => client.hgetallBuffer(hash)));
    const before = await states();
    const [first = ''] = hashes;
    await client.hset(first, 'stray', 'bytes', Object.keys(before[0] ?? {})[0] ?? '', 'other bytes');
    const answered = await clusterAnswers(name);
    const { drifts } = await verifyCluster(job, cluster.store, 1);
    expect(new Set(drifts.map(({ operator }) => operator))).toEqual(new Set(['card/0']));
    expect(drifts.length).toBeGreaterThan(0);

    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const profile = { ...cluster.store, modelsDirectory: '', logger };
    const replayed = await rebuildCluster(job, profile, new AbortController().signal);
    expect(replayed).toBeGreaterThanOrEqual(cut);
    expect(await states()).toEqual(before);
    expect(await verifyCluster(job, cluster.store, 1)).toMatchObject({ drifts: [], replayedRecords: replayed });
    expect(await clusterAnswers(name)).toEqual(answered);
    client.disconnect();

    await cluster.produce(name, payments.slice(cut));
    await cluster.run(job);
    await cluster.produce(twinName, payments);
    await cluster.run(await jobOf(test, twinName));
    expect((await clusterAnswers(name)).map(ofCard)).toEqual((await clusterAnswers(twinName)).map(ofCard));
  });

  it('is told as it was before a record was read, by the stage of an operator', async () => {
    await using test = await StateUnderTest.open(partitions, 'looked');
    const job = await wholeJob(test, 'looked');
    await cluster.newTopic('looked');
    await cluster.produce('looked', payments);
    await cluster.run(job);
    const partition = defaultPlace(Buffer.from('card-3'), partitions);
    const own = payments.filter(({ card }) => defaultPlace(Buffer.from(card), partitions) === partition);
    const cardAt = (offset: number, at: number = partition): Promise<readonly StateRow[]> =>
      viewClusterAt(job, cluster.store, { partition: at, offset }, 'card/0', (view) =>
        stateOfKey(view, ['card-3'], 'card/0'),
      );
    const now = await viewCluster(job, cluster.store, (view) => stateOfKey(view, ['card-3'], 'card/0'));
    expect(now.length).toBeGreaterThan(5);
    expect(await cardAt(own.length)).toEqual(now);
    expect(await cardAt(0)).toEqual([]);
    const first = own.findIndex(({ card }) => card === 'card-3');
    expect(await cardAt(first + 1)).toMatchObject([{ values: { amount: own[first]?.amount } }]);
    await expect(cardAt(own.length + 1)).rejects.toMatchObject({ code: 'POSITION_UNKNOWN' });
    await expect(cardAt(0, partitions)).rejects.toMatchObject({ code: 'POSITION_UNKNOWN' });

    // All payments are of one terminal, whose stage reads another topic.
    const shop = (view: StateView): Promise<readonly StateRow[]> => stateOfKey(view, ['shop'], 'terminal/0');
    const shopAt = defaultPlace(Buffer.from('shop'), partitions);
    const kept = await viewCluster(job, cluster.store, shop);
    expect(kept.length).toBeGreaterThan(50);
    const before = await viewClusterAt(job, cluster.store, { partition: shopAt, offset: 1 }, 'terminal/0', shop);
    expect(before).toHaveLength(1);
  });
});
