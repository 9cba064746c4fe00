import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { TopicReader } from './card-job.ts';
import { CommandCluster } from './command-cluster.ts';
import { embeddedAnswers } from './embedded-answers.ts';
import { byField, keyed, newJob, produce, shopPartitions } from './shop-records.ts';

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

const startMs = 1_700_000_000_000;

/** Payments of 40 cards, a second apart; every seventh of a card's comes up to two minutes late. */
function records(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index): MessageInput => {
    const i = from + index;
    const spread = (i * 2_654_435_761) % 1_000;
    const card = `c${(i * 7_919) % 40}`;
    const at = startMs + i * 1_000 - (spread % 7 === 0 ? (spread % 120) * 1_000 : 0);
    return keyed(card, { id: `r${i}`, card, shop: `s${spread % 7}`, at, amount: spread });
  });
}

const source = (name: string): string => `job: ${name}
app: shop
source:
  topic: ${name}.in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 5s }
  duplicates: { by: id, within: 1h }
deadLetters: { topic: ${name}.bad }
state: { flushEvery: 200ms }
amendments: { topic: ${name}.corrections, tolerance: 5%, within: 10m }
sinks:
  - topic: ${name}.out
`;
const card =
  'entity: card\nfeatures:\n  avg_1h: { avg: amount, over: 1h }\n  ratio: { expr: amount / avg_1h }\n  large_1h: { count: true, where: ratio > 1.5, over: 1h }\n';
const shop = 'entity: shop\nfeatures:\n  seen_1h: { count: true, over: 1h }\n';

async function texts(topic: string, count: number): Promise<readonly string[]> {
  await using reader = await TopicReader.open(services, topic);
  await reader.until(({ length }) => length >= count);
  await reader.toEnd();
  return reader.values;
}

/** Amendments without the times at which two logs took the same records. */
function untimed(lines: readonly string[]): readonly string[] {
  return lines.map((line) =>
    line
      .replace(/"decision_time":"[^"]*"/, '"decision_time":""')
      .replace(/"arrival_time":"[^"]*"/, '"arrival_time":""'),
  );
}

describe('amendments on a cluster', () => {
  it('are those of the embedded profile, each once, over two workers, a kill, a new start, and a Redis that has lost everything', async () => {
    const text = `${source('amended')}features: [card]\n`;
    const { file, job } = await newJob(services, 'amended', text, { 'features/card.yaml': card });
    const sent = records(0, 2_400);
    const expected = await embeddedAnswers(job, { 'amended.in': sent }, shopPartitions);
    const corrections = expected.get('amended.corrections')?.flat() ?? [];
    const soFar = await embeddedAnswers(job, { 'amended.in': sent.slice(0, 1_800) }, shopPartitions);
    const answersSoFar = soFar.get('amended.out')?.flat().length ?? 0;
    expect(corrections.length).toBeGreaterThan(100);

    await produce(services, 'amended.in', sent.slice(0, 900));
    const first = services.run(file, '--workers', '2');
    const reader = await TopicReader.open(services, 'amended.corrections');
    await reader.until(({ length }) => length >= 20);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await reader[Symbol.asyncDispose]();
    await produce(services, 'amended.in', sent.slice(900, 1_800));
    expect(await texts('amended.out', answersSoFar)).toHaveLength(answersSoFar);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);

    await services.loseRedis();
    await produce(services, 'amended.in', sent.slice(1_800));
    const second = services.run(file, '--trigger', 'availableNow');
    expect([await second.ended, second.stderr]).toEqual([0, expect.any(String)]);
    expect(second.figures).toMatchObject({ read: 600, replayed: 1_800, deadLettered: 0 });
    expect(second.figures).toHaveProperty('amended', expect.any(Number));

    const told = await texts('amended.corrections', corrections.length);
    expect(told).toHaveLength(corrections.length);
    expect(byField(untimed(told), 'card')).toEqual(byField(untimed(corrections), 'card'));
    // What a worker has published says when the log took the record and its cause, whoever says it again.
    for (const line of told) expect(line).toMatch(/"decision_time":"20[^"]+Z".*"arrival_time":"20[^"]+Z"/);
    const answers = expected.get('amended.out')?.flat() ?? [];
    expect(byField(await texts('amended.out', answers.length), 'card')).toEqual(byField(answers, 'card'));
  }, 300_000);

  it('are refused at the start where a job is split into stages, by name', async () => {
    const text = `${source('split')}features: [card, shop]\n`;
    const { file } = await newJob(services, 'split', text, { 'features/card.yaml': card, 'features/shop.yaml': shop });
    const command = services.run(file, '--trigger', 'availableNow');
    expect(await command.ended).toBe(1);
    expect(command.stderr).toContain('AMENDMENTS_ON_CLUSTER');
    expect(command.stderr).toContain("must have card, the topic's key, in the key of every feature");
  }, 300_000);
});
