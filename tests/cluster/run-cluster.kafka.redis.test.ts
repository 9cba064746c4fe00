import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectCardsAnsweredOnce, newCardJob, produceCards, TopicReader } from './card-job.ts';
import { CommandCluster } from './command-cluster.ts';

let services: CommandCluster;

beforeAll(async () => {
  services = await CommandCluster.start();
});

afterEach(() => {
  services.endCommands();
});

afterAll(async () => {
  await services[Symbol.asyncDispose]();
});

interface ShopAnswer {
  readonly id: string;
  readonly features: { readonly shop_count_30d: number };
}

describe('sluice run --profile cluster', () => {
  it('answers each record once over two workers, a kill, a stop and a new start', async () => {
    const job = await newCardJob(services, 'payments');
    await produceCards(services, 'payments', 0, 4_000, ['{"id": "bad"']);
    const first = services.run(job, '--workers', '2');
    const reader = await TopicReader.open(services, 'payments.out');
    await reader.until(({ length }) => length >= 1_000);
    const workers = await first.workers();
    expect(workers).toHaveLength(2);
    process.kill(workers[0] ?? 0, 'SIGKILL');
    await produceCards(services, 'payments', 4_000, 8_000);
    await reader.until(({ length }) => length >= 8_000);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([
      0,
      expect.stringContaining('has died by SIGKILL and is started again'),
    ]);
    expect(first.stderr).toContain('created topic payments.out');

    const second = services.run(job, '--workers', '2');
    await produceCards(services, 'payments', 8_000, 9_000);
    await reader.until(({ length }) => length >= 9_000);
    second.child.kill('SIGTERM');
    expect(await second.ended).toBe(0);
    expect(second.figures).toMatchObject({ read: 1_000, scored: 1_000, deadLettered: 0, late: 0 });
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 9_000);
    await reader[Symbol.asyncDispose]();
    const bad = await TopicReader.open(services, 'payments.bad');
    await bad.toEnd();
    expect(bad.values.map((value) => (JSON.parse(value) as { readonly stage: string }).stage)).toEqual(['decode']);
    await bad[Symbol.asyncDispose]();
  }, 400_000);

  it("answers each record once over two stages, for features of an entity that is not the topic's key", async () => {
    const job = await newCardJob(services, 'entities', 'of two entities');
    await produceCards(services, 'entities', 0, 2_000);
    const first = services.run(job, '--workers', '2');
    const reader = await TopicReader.open(services, 'entities.out');
    await reader.until(({ length }) => length >= 500);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await reader.until(({ length }) => length >= 2_000);
    await produceCards(services, 'entities', 2_000, 3_000);
    await reader.until(({ length }) => length >= 3_000);
    // When all others are answered, one more of each shop: whichever partition they come from, it counts all of them.
    await produceCards(services, 'entities', 3_000, 3_007);
    await reader.until(({ length }) => length >= 3_007);
    first.child.kill('SIGTERM');
    expect(await first.ended).toBe(0);
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 3_007);
    const answers = reader.values.map((value) => JSON.parse(value) as ShopAnswer);
    for (const { id, features } of answers) {
      const index = Number(id.slice(1));
      const known = Math.floor(index / 7) + 1;
      if (index < 3_000) expect(features.shop_count_30d).toBeLessThanOrEqual(known);
      else expect([id, features.shop_count_30d]).toEqual([id, known]);
    }
    await reader[Symbol.asyncDispose]();
  }, 400_000);

  it('ends all of its workers, by the name of the error, where waiting mends nothing', async () => {
    const job = await newCardJob(services, 'stops');
    writeFileSync(job, readFileSync(job, 'utf8').replace('deadLetters: { topic: stops.bad }', 'deadLetters: fail'));
    await produceCards(services, 'stops', 0, 200, ['{"id": "bad"']);
    const child = services.run(job, '--workers', '2');
    expect(await child.ended).toBe(1);
    expect(child.stderr).toContain('error BAD_RECORD');
    expect(child.stderr).toContain('error WORKER_FAILED');
    expect(child.stdout).toBe('');
    // Nothing of the batch that holds it was committed, and the others were worked on.
    const reader = await TopicReader.open(services, 'stops.out');
    await reader.toEnd();
    expect(new Set(reader.values).size).toBe(reader.values.length);
    await reader[Symbol.asyncDispose]();
  }, 300_000);

  it('works off what is there and ends, and finds nothing to do the next time', async () => {
    const job = await newCardJob(services, 'nightly');
    const further = '{ topic: nightly.out }, { clickhouse: predictions }, { jsonl: out.jsonl }';
    writeFileSync(job, readFileSync(job, 'utf8').replace('{ topic: nightly.out }', further));
    await produceCards(services, 'nightly', 0, 2_000);
    const first = services.run(job, '--trigger', 'availableNow');
    expect([await first.ended, first.figures]).toMatchObject([0, { read: 2_000, scored: 2_000, replayed: 0 }]);
    // What the job leaves to others is said, by name.
    for (const sink of ['sink clickhouse predictions', 'sink jsonl']) expect(first.stderr).toContain(sink);
    expect(first.stderr).toContain('sluice sink');
    const again = services.run(job, '--trigger', 'availableNow');
    expect([await again.ended, again.figures]).toMatchObject([0, { read: 0, replayed: 0 }]);
    const reader = await TopicReader.open(services, 'nightly.out');
    await reader.toEnd();
    expectCardsAnsweredOnce(reader.values, 2_000);
    await reader[Symbol.asyncDispose]();
  }, 300_000);

  // The last one: the others need the broker.
  it('ends in time, and says why so, when it is told to while the broker is gone for good', async () => {
    const job = await newCardJob(services, 'bereft');
    await produceCards(services, 'bereft', 0, 20_000);
    const child = services.run(job, '--workers', '2', '--stop-timeout', '3s');
    const reader = await TopicReader.open(services, 'bereft.out');
    await reader.until(({ length }) => length >= 500);
    await reader[Symbol.asyncDispose]();
    const workers = await child.workers();
    await services.broker.kill();
    child.child.kill('SIGTERM');
    // Whoever had a transaction open cannot know what became of it, and its client does not return.
    expect(await child.ended).toBe(1);
    expect(child.stderr).toContain('STOP_TIMED_OUT');
    expect(child.stderr).toMatch(/error WORKER_FAILED: worker \d must end in good order; it ended by SIGKILL/);
    for (const worker of workers) expect(() => process.kill(worker, 0)).toThrow('ESRCH');
  }, 300_000);
});
