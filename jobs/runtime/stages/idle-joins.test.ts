import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { messageBatchOf, type MessageInput } from '../../../engine/storage/message-batch-builder.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { loadFiles } from '../../testing/job-folder.ts';
import { chooser, JointChain } from '../../testing/joint-chain.ts';
import { planStages } from './stages.ts';

const counts: Readonly<Record<string, number>> = { orders: 2, payments: 3, customers: 2 };

const eventTime = 'eventTime: { field: at, delay: 2s, idleTimeout: 5s }';
const sources = (names: readonly string[]): string =>
  names
    .map((name) => {
      const key = name === 'orders' ? 'id' : 'of';
      return `  ${name}: { topic: ${name}, fields: { ${key}: string, customer: "string?", at: timestamp }, key: ${key}, ${eventTime} }\n`;
    })
    .join('');
const head = (...names: readonly string[]): string =>
  `job: job\napp: app\nfeatures: none\nsinks: [{ topic: out }]\ndeadLetters: { topic: bad }\nsources:\n${sources(names)}`;
const within = 'within: { before: 5s, after: 5s }, kind: left';
const texts = {
  'a join': `${head('orders', 'payments')}join: { left: orders, right: payments, on: { left: id, right: of }, ${within} }\n`,
  'joins by one key and then by another': `${head('orders', 'payments', 'customers')}join:
  - { left: orders, right: payments, on: { left: id, right: of }, ${within} }
  - { right: customers, on: { left: orders.customer, right: of }, ${within} }
`,
};
type Name = keyof typeof texts;

const jobs = new Map<string, CheckedJob>();

beforeAll(async () => {
  for (const [name, text] of Object.entries(texts)) {
    const outcome = await loadFiles({ 'jobs/job.yaml': text });
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    jobs.set(name, outcome.job);
  }
});

function jobNamed(name: Name): CheckedJob {
  const found = jobs.get(name);
  if (found === undefined) throw new Error(name);
  return found;
}

const startMs = 1_700_000_000_000;

function order(id: string, partition: number, second: number): MessageInput {
  const value = JSON.stringify({ id, customer: `c${second % 3}`, at: startMs + second * 1_000 });
  return { partition, key: id, value, timestampMs: startMs + second * 1_000 };
}

/** Of an input that no order is in: it has a partner for none. */
function other(partition: number, second: number): MessageInput {
  const value = JSON.stringify({ of: 'nobody', customer: null, at: startMs + second * 1_000 });
  return { partition, key: 'nobody', value, timestampMs: startMs + second * 1_000 };
}

/** At which second each order comes, and which of the other inputs' partitions ever have a record. */
const runs = fc.record({
  steps: fc.array(fc.tuple(fc.nat(1), fc.nat(4)), { minLength: 1, maxLength: 20 }),
  heard: fc.subarray([0, 1, 2]),
  seed: fc.nat(),
});

describe('joins whose inputs go quiet, or were never heard from', () => {
  it.each(Object.keys(texts) as Name[])('give what is without a partner, once, whatever dies: %s', async (name) => {
    const job = jobNamed(name);
    const stages = planStages(job);
    const property = fc.asyncProperty(runs, async ({ steps, heard, seed }) => {
      const chain = await JointChain.open(job, counts, []);
      const choose = chooser(seed);
      const add = (topic: string, message: MessageInput): void => chain.log.append(messageBatchOf(topic, [message]));
      let second = 0;
      steps.forEach(([partition, step], index) => add('orders', order(`r${index}`, partition, (second += step))));
      for (const topic of ['payments', 'customers']) {
        for (const partition of heard) if (partition < (counts[topic] ?? 0)) add(topic, other(partition, 0));
      }
      await chain.drain(choose);
      expect(chain.texts('out')).toEqual([]);
      // All but one partition of the orders say that nothing comes; that one goes on.
      const reading = chain.tasks.filter(({ stage }) => stages[stage]?.input === 'source');
      for (const { task } of reading.slice(1)) {
        await task.goIdle(0);
        await chain.drain(choose);
      }
      for (const later of [100, 101]) add('orders', order(`end${later}`, 0, second + later));
      await chain.drain(choose);
      const lone = chain.texts('out').flatMap((text) => /"(r\d+)"/.exec(text)?.[1] ?? []);
      expect(lone.toSorted()).toEqual(steps.map((_, index) => `r${index}`).toSorted());
      expect([...chain.texts('bad'), ...chain.texts('job-late')]).toEqual([]);
    });
    await fc.assert(property, { numRuns: 25 });
  });
});
