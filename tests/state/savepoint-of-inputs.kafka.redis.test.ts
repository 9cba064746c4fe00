import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { saveCluster } from '../../jobs/state/cluster-savepoint.ts';
import { verifyCluster, viewCluster } from '../../jobs/state/cluster-state.ts';
import { rebuildCluster } from '../../jobs/state/rebuild-cluster.ts';
import { restoreLocal, saveLocal } from '../../jobs/state/local-savepoint.ts';
import { restoreCluster } from '../../jobs/state/restore-cluster.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { embeddedAnswers } from '../cluster/embedded-answers.ts';
import { shopPartitions } from '../cluster/shop-records.ts';
import { EmbeddedPlace } from './embedded-place.ts';
import {
  counted,
  grouped,
  jobOf,
  joined,
  merged,
  outOf,
  priced,
  sendHalf,
  united,
  type InputsCase,
} from './inputs-on-a-cluster.ts';
import { PaymentsCluster } from './payments-cluster.ts';
import { rowsOf } from './state-under-test.ts';

let cluster: PaymentsCluster;

beforeAll(async () => {
  cluster = await PaymentsCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What the job answers over all messages at once, on the embedded profile. */
async function embedded(test: InputsCase): Promise<readonly string[]> {
  const job = await jobOf(cluster, test, 'twin');
  const inputs = Object.fromEntries(Object.entries(test.inputs).map(([topic, halves]) => [topic, halves.flat()]));
  const answers = await embeddedAnswers(job, inputs, shopPartitions);
  return counted(answers.get(`twin.${test.name}.out`)?.flat() ?? []);
}

describe('the state of a job of several inputs, or windows behind an exchange, on a cluster', () => {
  it.each([joined, priced, united, merged, grouped])('is saved, and restored elsewhere: $name', async (test) => {
    const former = await jobOf(cluster, test, 'former');
    await sendHalf(cluster, test, 0);
    await cluster.run(former);
    const path = join(cluster.folder, `${test.name}.savepoint`);
    const saved = await saveCluster(former, cluster.store, { path, name: 'kept' });
    expect(saved.keys).toBeGreaterThan(1);
    const before = await viewCluster(former, cluster.store, rowsOf);
    expect(before.length).toBeGreaterThan(20);

    await sendHalf(cluster, test, 1);
    const later = await jobOf(cluster, test, 'later');
    expect(await restoreCluster(later, cluster.store, path, 'refuse')).toMatchObject({ keys: saved.keys });
    expect(await viewCluster(later, cluster.store, rowsOf)).toEqual(before);
    await expect(restoreCluster(later, cluster.store, path, 'refuse')).rejects.toMatchObject({ code: 'STATE_EXISTS' });
    await cluster.run(later);
    const answered = [...(await outOf(cluster, test, 'former')), ...(await outOf(cluster, test, 'later'))];
    expect(answered.toSorted()).toEqual(await embedded(test));
    expect(answered.length).toBeGreaterThan(50);

    await using place = await EmbeddedPlace.open(test);
    await place.send(0);
    await place.send(1);
    const brought = await jobOf(cluster, test, 'brought');
    await restoreLocal(brought, place, path, 'refuse');
    await place.run(brought);
    const local = counted(await place.answers(`brought.${test.name}.out`));
    expect([...(await outOf(cluster, test, 'former')), ...local].toSorted()).toEqual(await embedded(test));
  });

  it.each([joined, priced, united, grouped])('is taken over from the embedded profile: $name', async (test) => {
    await using place = await EmbeddedPlace.open(test);
    await place.send(0);
    const job = await jobOf(cluster, test, 'taken');
    await place.run(job);
    const former = counted(await place.answers(`taken.${test.name}.out`));
    const path = join(cluster.folder, `${test.name}-local.savepoint`);
    expect((await saveLocal(job, place, { path, name: 'taken' })).keys).toBeGreaterThan(9);
    await restoreCluster(job, cluster.store, path, 'refuse');
    await cluster.run(job);
    const later = await outOf(cluster, test, 'taken');
    expect(later.length).toBeGreaterThan(20);
    expect([...former, ...later].toSorted()).toEqual(await embedded(test));
  });

  it('is computed anew from its exchange where Redis has lost it, with nothing emitted', async () => {
    // It stands where it was saved; what was sent since is still to come.
    const job = await jobOf(cluster, joined, 'former');
    await cluster.run(job);
    const rows = await viewCluster(job, cluster.store, rowsOf);
    const whole = await verifyCluster(job, cluster.store, 1);
    expect(whole).toMatchObject({ drifts: [] });
    const redis = connectRedis(cluster.settings.redis ?? expect.fail('there is a Redis'), () => undefined);
    for (const key of await redis.keys('sluice:{former.joined.*}:*')) await redis.del(key);
    redis.disconnect();
    const profile = { ...cluster.store, modelsDirectory: '', logger };
    expect(await rebuildCluster(job, profile, new AbortController().signal)).toBe(whole.replayedRecords);
    expect(await viewCluster(job, cluster.store, rowsOf)).toEqual(rows);
    expect(await verifyCluster(job, cluster.store, 1)).toMatchObject({ drifts: [] });
    expect(await outOf(cluster, joined, 'former')).toEqual(await embedded(joined));
  });
});
