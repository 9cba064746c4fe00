import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { TopicReader } from './card-job.ts';
import { CommandCluster } from './command-cluster.ts';
import { embeddedAnswers } from './embedded-answers.ts';
import { byField, keyed, newJob, produce, shopPartitions, verifiedState } from './shop-records.ts';

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

/** Records of 40 cards, a second apart and out of order by up to 4 s; some much too late, one from the future, one without a key. */
function records(from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index): MessageInput => {
    const i = from + index;
    const spread = (i * 2_654_435_761) % 1_000;
    const card = `c${(i * 7_919) % 40}`;
    const lateMs = i > 500 && spread % 97 === 0 ? 900_000 : 0;
    const at = i === 700 ? 2_100_000_000_000 : startMs + i * 1_000 - (spread % 5) * 1_000 - lateMs;
    return keyed(card, { id: `r${i}`, card, shop: `s${spread % 7}`, at, amount: spread, tags: tagsOf(spread) });
  });
}

/** How far behind its place in the order a record is. */
function lateness(value: MessageInput['value']): number {
  const { id, at } = JSON.parse(String(value)) as { readonly id: string; readonly at: number };
  return startMs + Number(id.slice(1)) * 1_000 - at;
}

function tagsOf(spread: number): string {
  return JSON.stringify(Array.from({ length: spread % 3 }, (_, index) => `tag${(spread + index) % 5}`));
}

const source = (name: string): string => `job: ${name}
app: shop
source:
  topic: ${name}.in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double, tags: string }
  key: card
  eventTime: { field: at, delay: 5s }
deadLetters: { topic: ${name}.bad }
state: { flushEvery: 200ms }
`;

/** Reads a topic until it holds as much as the embedded profile wrote, and to its end. */
async function texts(topic: string, count: number): Promise<readonly string[]> {
  await using reader = await TopicReader.open(services, topic);
  await reader.until(({ length }) => length >= count);
  await reader.toEnd();
  return reader.values;
}

describe('windows on a cluster', () => {
  it('close as on the embedded profile, over two workers, a kill, a new start, and a Redis that has lost everything', async () => {
    const { file, job } = await newJob(
      services,
      'spent',
      `${source('spent')}windows:
  key: [card, shop]
  hopping: { size: 2m, every: 1m }
  where: amount > 10
  aggregates: { payments: { count: true }, total: { sum: amount }, p95: { quantile: amount, q: 0.95 } }
outputMode: append
late: { policy: route, allowedLateness: 10s }
features: none
sinks:
  - { topic: spent.out }
  - { topic: spent.large, where: total > 1000 }
`,
    );
    const sent = records(0, 3_000);
    const expected = await embeddedAnswers(job, { 'spent.in': sent }, shopPartitions);
    const soFar = await embeddedAnswers(job, { 'spent.in': sent.slice(0, 2_400) }, shopPartitions);
    const countOf = (of: typeof expected, topic: string): number => of.get(topic)?.flat().length ?? 0;
    expect(countOf(expected, 'spent-late')).toBeGreaterThan(10);

    await produce(services, 'spent.in', sent.slice(0, 1_200));
    const first = services.run(file, '--workers', '2');
    const reader = await TopicReader.open(services, 'spent.out');
    await reader.until(({ length }) => length >= 100);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await produce(services, 'spent.in', sent.slice(1_200, 2_400));
    await reader.until(({ length }) => length >= countOf(soFar, 'spent.out'));
    await reader[Symbol.asyncDispose]();
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);

    await services.loseRedis();
    await produce(services, 'spent.in', sent.slice(2_400));
    const second = services.run(file, '--trigger', 'availableNow');
    expect([await second.ended, second.stderr]).toEqual([0, expect.any(String)]);
    expect(second.figures).toMatchObject({ read: 600, replayed: 2_400, deadLettered: 0 });

    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
    for (const topic of ['spent.out', 'spent.large', 'spent-late']) {
      const embedded = expected.get(topic)?.flat() ?? [];
      const cluster = await texts(topic, embedded.length);
      expect([topic, cluster.length]).toEqual([topic, embedded.length]);
      // Of one key everything is in one partition: its results come in the same order, too.
      expect(byField(cluster, 'card', 'shop')).toEqual(byField(embedded, 'card', 'shop'));
    }
  }, 300_000);

  it('and sessions, patterns and lists give what they give on the embedded profile, where their keys hold the key of the topic', async () => {
    const jobs = {
      visits: `windows:
  key: card
  session: { gap: 30s }
  aggregates: { payments: { count: true }, last: { last: shop } }
features: none
sinks: [{ topic: visits.out }]
`,
      probed: `sessions: { key: card, gap: 1m }
where: amount != 500
pattern:
  key: card
  first: amount < 200
  followedBy: amount > 2 * first.amount && session_number == first.session_number
  within: 10m
  select: { tried: first.id, taken: id, session: session_id }
features: none
sinks: [{ topic: probed.out }]
`,
      tagged: `flatMap: { from: tags, as: tag }
features: [tag]
sinks: [{ topic: tagged.out }, { topic: tagged.often, where: tag_count > 3 }]
`,
    };
    const tag = 'entity: [card, tag]\nfeatures:\n  tag_count: { count: true, over: 1h, current: include }\n';
    const sent = records(0, 1_500);
    for (const [name, text] of Object.entries(jobs)) {
      const { file, job } = await newJob(services, name, source(name) + text, { 'features/tag.yaml': tag });
      const expected = await embeddedAnswers(job, { [`${name}.in`]: sent }, shopPartitions);
      await produce(services, `${name}.in`, sent);
      const command = services.run(file, '--trigger', 'availableNow');
      expect([await command.ended, command.stderr]).toEqual([0, expect.any(String)]);
      for (const [topic, of] of expected) {
        const embedded = of.flat();
        const cluster = await texts(topic, embedded.length);
        expect([topic, byField(cluster, 'card')]).toEqual([topic, byField(embedded, 'card')]);
      }
      expect(expected.get(`${name}.out`)?.flat().length).toBeGreaterThan(100);
    }
  }, 300_000);

  it('close with all of their records for a key that is not the topic’s, which come through an exchange', async () => {
    const { file, job } = await newJob(
      services,
      'shops',
      `${source('shops')}windows:
  key: shop
  tumbling: 1m
  aggregates: { payments: { count: true }, total: { sum: amount }, newest: { last: id } }
features: none
sinks: [{ topic: shops.out }]
`,
    );
    const sent = records(0, 2_000).filter((_, index) => index < 500 || index % 97 !== 0);
    const inTime = sent.filter(({ value }) => lateness(value) <= 5_000);
    // Behind all others, so that each task of the second stage hears from each of the first that they are over.
    const last = [10, 20].flatMap((hours) =>
      Array.from({ length: 200 }, (_, i): MessageInput => {
        const at = startMs + hours * 3_600_000;
        return keyed(`c${i % 40}`, { id: 'end', card: `c${i % 40}`, shop: `end${i}`, at, amount: 0, tags: '' });
      }),
    );
    const expected = await embeddedAnswers(job, { 'shops.in': [...inTime, ...last] }, shopPartitions);
    const results = (values: readonly string[]): ReadonlyMap<string, readonly string[]> =>
      byField(
        values.filter((value) => !value.includes('"end')),
        'shop',
      );
    const embedded = results(expected.get('shops.out')?.flat() ?? []);

    await produce(services, 'shops.in', inTime.slice(0, 1_000));
    const first = services.run(file, '--workers', '2');
    const reader = await TopicReader.open(services, 'shops.out');
    await reader.until(({ length }) => length >= 20);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await produce(services, 'shops.in', [...inTime.slice(1_000), ...last]);
    const count = [...embedded.values()].flat().length;
    await reader.until((read) => [...results(read).values()].flat().length >= count);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);
    await reader.toEnd();
    expect(results(reader.values)).toEqual(embedded);
    await reader[Symbol.asyncDispose]();

    await services.loseRedis();
    const second = services.run(file, '--trigger', 'availableNow');
    expect([await second.ended, second.stderr]).toEqual([0, expect.any(String)]);
    expect(second.figures).toMatchObject({ read: 0, deadLettered: 0 });
    expect(await texts('shops.out', reader.values.length)).toHaveLength(reader.values.length);
    const doctor = services.command('doctor', file);
    await doctor.ended;
    for (const words of ['passes records on', 'computes windows']) expect(doctor.stdout).toContain(words);
    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
  }, 300_000);
});
