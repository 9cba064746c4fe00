import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../engine/time/clock.ts';
import { preflight } from '../../jobs/runtime/preflight.ts';
import { cardJob, PaymentsCluster } from './payments-cluster.ts';
import { StateUnderTest, type Payment } from './state-under-test.ts';

let cluster: PaymentsCluster;

beforeAll(async () => {
  cluster = await PaymentsCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

const payments: readonly Payment[] = Array.from({ length: 300 }, (_, number) => {
  const at = Date.UTC(2024, 0, 1) + number * 30_000 - (number % 5) * 4_000;
  return { id: `id ${number}`, at, card: `card-${(number * 3) % 11}`, terminal: 'shop', amount: (number * 13) % 40 };
});
const cut = 180;

/** The answers of the changed job, in one order. */
function behind(answers: readonly string[]): readonly string[] {
  const isBehind = (answer: string): boolean =>
    Number((JSON.parse(answer) as { id: string }).id.slice('id '.length)) >= cut;
  return answers.filter(isBehind).toSorted();
}

describe('a job that is changed on a cluster', () => {
  it.each([
    ['kept', 'over: 30m', 'over: 20m'],
    ['rebuilt', 'over: 10m', 'over: 3h'],
  ])('has its state %s, and answers as if it had been the changed job from the beginning', async (name, from, to) => {
    await using test = await StateUnderTest.open(1);
    for (const topic of [name, `twin-${name}`]) await cluster.newTopic(topic);
    await cluster.produce(name, payments.slice(0, cut));
    await cluster.run(await cardJob(test, name));
    await cluster.produce(name, payments.slice(cut));
    const changed = await cardJob(test, name, from, to);
    const looked = await preflight(changed, {
      settings: cluster.settings,
      modelsDirectory: '',
      clock: systemClock,
      purpose: 'start',
      threads: 64,
    });
    expect(looked.filter(({ outcome }) => outcome === 'refused')).toEqual([]);
    expect(await cluster.run(changed)).toContain(
      `job ${name} was changed, and goes on with the state that it would have`,
    );

    await cluster.produce(`twin-${name}`, payments);
    await cluster.run(await cardJob(test, `twin-${name}`, from, to));
    expect(behind(await cluster.answersOf(name))).toEqual(behind(await cluster.answersOf(`twin-${name}`)));
    expect(behind(await cluster.answersOf(name))).toHaveLength(payments.length - cut);
  });

  it('does not start with another meaning under the same name, and goes on as it was', async () => {
    await using test = await StateUnderTest.open(1);
    await cluster.newTopic('refused');
    await cluster.produce('refused', payments.slice(0, 100));
    await cluster.run(await cardJob(test, 'refused'));
    await cluster.produce('refused', payments.slice(100, 150));
    const changed = await cardJob(test, 'refused', '{ avg: amount', '{ max: amount');
    const looked = await preflight(changed, {
      settings: cluster.settings,
      modelsDirectory: '',
      clock: systemClock,
      purpose: 'start',
      threads: 64,
    });
    expect(looked.filter(({ outcome }) => outcome === 'refused')).toMatchObject([{ code: 'JOB_CHANGED' }]);
    await expect(cluster.run(changed)).rejects.toMatchObject({ code: 'JOB_CHANGED' });
    await cluster.run(await cardJob(test, 'refused'));
    expect(await cluster.answersOf('refused')).toHaveLength(150);
  });
});
