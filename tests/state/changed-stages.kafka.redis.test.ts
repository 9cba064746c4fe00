import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { verifyCluster } from '../../jobs/state/cluster-state.ts';
import { defaultPlace } from '../../jobs/state/savepoint.ts';
import { PaymentsCluster, wholeJob } from './payments-cluster.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

const partitions = 4;
const cut = 180;
let cluster: PaymentsCluster;

beforeAll(async () => {
  cluster = await PaymentsCluster.start();
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** A terminal's payments come from one partition, so that their order is the same in every run. */
const payments: readonly Payment[] = Array.from({ length: 300 }, (_, number) => {
  const at = Date.UTC(2024, 0, 1) + number * 30_000 - (number % 5) * 4_000;
  const card = `card-${(number * 3) % 11}`;
  const terminal = `shop-${defaultPlace(Buffer.from(card), partitions)}`;
  return { id: `id ${number}`, at, card, terminal, amount: (number * 13) % 40 };
});

/** The answers of the changed job, in one order. */
function behind(answers: readonly string[]): readonly string[] {
  const isBehind = (answer: string): boolean =>
    Number((JSON.parse(answer) as { id: string }).id.slice('id '.length)) >= cut;
  return answers.filter(isBehind).toSorted();
}

describe('a job of several stages that is changed on a cluster', () => {
  it.each([
    ['first', { 'card.yaml': files['card.yaml'].replace('over: 10m', 'over: 3h') }],
    [
      'last',
      {
        'terminal.yaml': files['terminal.yaml'].replace(
          'features:',
          'features:\n  terminal_sum_1h: { sum: amount, over: 1h }\n  terminal_most_1h: { max: card_count_10m, over: 1h }',
        ),
      },
    ],
  ])(
    'has its %s stage rebuilt, and answers as if it had been the changed job from the beginning',
    async (name, changes) => {
      await using test = await StateUnderTest.open(1);
      for (const topic of [name, `twin-${name}`]) await cluster.newTopic(topic);
      await cluster.produce(name, payments.slice(0, cut));
      await cluster.run(await wholeJob(test, name));
      await cluster.produce(name, payments.slice(cut));
      const changed = await wholeJob(test, name, changes);
      expect(await cluster.run(changed)).toContain(
        `job ${name} was changed, and goes on with the state that it would have`,
      );
      expect(await verifyCluster(changed, cluster.store, 1)).toMatchObject({ drifts: [] });

      await cluster.produce(`twin-${name}`, payments);
      await cluster.run(await wholeJob(test, `twin-${name}`, changes));
      expect(behind(await cluster.answersOf(name))).toEqual(behind(await cluster.answersOf(`twin-${name}`)));
      expect(behind(await cluster.answersOf(name))).toHaveLength(payments.length - cut);
    },
  );

  it('does not start where its exchange holds what the changed job would not have written, and goes on as it was', async () => {
    await using test = await StateUnderTest.open(1);
    await cluster.newTopic('stays');
    await cluster.produce('stays', payments.slice(0, 100));
    await cluster.run(await wholeJob(test, 'stays'));
    await cluster.produce('stays', payments.slice(100, 150));
    const changed = await wholeJob(test, 'stays', {
      'card.yaml': files['card.yaml'].replace('avg: amount, over: 1h', 'avg: amount, over: 2h'),
    });
    await expect(cluster.run(changed)).rejects.toMatchObject({ code: 'JOB_CHANGED' });
    await cluster.run(await wholeJob(test, 'stays'));
    expect(await cluster.answersOf('stays')).toHaveLength(150);
  });
});
