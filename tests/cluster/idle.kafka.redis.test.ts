import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { TopicReader } from './card-job.ts';
import { CommandCluster } from './command-cluster.ts';
import { embeddedAnswers } from './embedded-answers.ts';
import { byField, newJob, produce, shopPartitions, verifiedState } from './shop-records.ts';

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

/** A record of a second, in a partition that its card is always in. */
function record(partition: number, second: number, shop: string, id: string): MessageInput {
  const card = `c${partition}`;
  const value = JSON.stringify({ id, card, shop, at: startMs + second * 1_000, amount: second % 10 });
  return { partition, key: card, value };
}

function records(partitions: readonly number[], from: number, to: number): readonly MessageInput[] {
  return Array.from({ length: to - from }, (_, index) => {
    const second = from + index;
    return record(partitions[second % partitions.length] ?? 0, second, `s${second % 3}`, `r${second}`);
  });
}

/** Behind all records, in every partition: in one process everything comes out then. */
const end = Array.from({ length: shopPartitions }, (_, partition) => record(partition, 360_000, 'tick', 'end'));

const source = (name: string, clock: string): string => `job: ${name}
app: shop
source:
  topic: ${name}.in
  fields: { id: string, card: string, shop: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 2s, ${clock} }
deadLetters: { topic: ${name}.bad }
state: { flushEvery: 200ms }
features: none
sinks: [{ topic: ${name}.out }]
`;

/** Results by shop, without those of what is sent for its time alone. */
function results(values: readonly string[]): ReadonlyMap<string, readonly string[]> {
  return byField(
    values.filter((value) => !value.includes('"tick"')),
    'shop',
  );
}

const countOf = (values: readonly string[]): number => [...results(values).values()].flat().length;

/** Sends a record a second on to some partitions, and no other, until a reader has seen what it waits for. @returns the second after the last. */
async function tickUntil(
  topic: string,
  partitions: readonly number[],
  from: number,
  reader: TopicReader,
  isSeen: (values: readonly string[]) => boolean,
): Promise<number> {
  let second = from;
  for (; ; second++) {
    const ticks = partitions.map((partition) => record(partition, second, 'tick', 'tick'));
    await produce(services, topic, ticks);
    await reader.toEnd();
    if (isSeen(reader.values)) return second + 1;
  }
}

describe('on a cluster, a partition of the input that is quiet', () => {
  it('or never had a record, holds no windows back behind an exchange; a kill and a lost Redis change nothing', async () => {
    const { file, job } = await newJob(
      services,
      'quiet',
      `${source('quiet', 'idleTimeout: 2s')}windows:
  key: shop
  tumbling: 1m
  aggregates: { payments: { count: true }, total: { sum: amount }, ids: { distinct: id } }
late: { policy: route, allowedLateness: 0s }
`,
    );
    // Partition 3 never has any, and partition 2 only at first.
    const sent = [...records([0, 1, 2], 0, 300), ...records([0, 1], 300, 600)];
    const expected = await embeddedAnswers(job, { 'quiet.in': [...sent, ...end] }, shopPartitions);
    const embedded = results(expected.get('quiet.out')?.flat() ?? []);
    const count = [...embedded.values()].flat().length;
    expect(count).toBe(33);

    await produce(services, 'quiet.in', sent);
    const first = services.run(file, '--workers', '2');
    await using reader = await TopicReader.open(services, 'quiet.out');
    let second = await tickUntil('quiet.in', [0, 1], 620, reader, (values) => countOf(values) >= 15);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    second = await tickUntil('quiet.in', [0, 1], Math.max(second, 720), reader, (values) => countOf(values) >= count);
    expect(results(reader.values)).toEqual(embedded);

    // It is back: what the others have passed it has lost, and it holds them back again.
    const back = second + 60;
    await produce(services, 'quiet.in', [record(2, 30, 's0', 'late'), record(2, back, 's0', 'back')]);
    const late = await TopicReader.open(services, 'quiet-late');
    await late.until(({ length }) => length >= 1);
    await tickUntil('quiet.in', [0, 1], back + 120, reader, (values) => countOf(values) > count);
    expect([late.values.length, JSON.parse(late.values[0] ?? '{}')]).toEqual([
      1,
      expect.objectContaining({ id: 'late' }),
    ]);
    await late[Symbol.asyncDispose]();
    expect(JSON.parse(results(reader.values).get('s0')?.at(-1) ?? '{}')).toMatchObject({
      payments: 1,
      total: back % 10,
    });
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);

    await services.loseRedis();
    const again = services.run(file, '--trigger', 'availableNow');
    expect([await again.ended, again.stderr]).toEqual([0, expect.any(String)]);
    await reader.toEnd();
    expect(countOf(reader.values)).toBe(count + 1);
    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
  }, 300_000);

  it('and all that are quiet together, are moved on by the clock where the job says so, by the key of the topic, too', async () => {
    const { file, job } = await newJob(
      services,
      'clocked',
      `${source('clocked', 'idleTimeout: 1s, advanceOnIdle: true')}windows:
  key: [card, shop]
  tumbling: 2s
  aggregates: { payments: { count: true }, total: { sum: amount } }
`,
    );
    const sent = records([0, 1, 2], 0, 60);
    const expected = await embeddedAnswers(job, { 'clocked.in': [...sent, ...end] }, shopPartitions);
    const embedded = results(expected.get('clocked.out')?.flat() ?? []);
    const count = [...embedded.values()].flat().length;
    await produce(services, 'clocked.in', sent.slice(0, 30));
    const first = services.run(file, '--workers', '2');
    await using reader = await TopicReader.open(services, 'clocked.out');
    await reader.until(({ length }) => length >= 10);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await produce(services, 'clocked.in', sent.slice(30));
    // Nothing comes any more: it is the clock that brings out the last ones.
    await reader.until((values) => countOf(values) >= count);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);
    await reader.toEnd();
    expect(results(reader.values)).toEqual(embedded);

    await services.loseRedis();
    const again = services.run(file, '--trigger', 'availableNow');
    expect([await again.ended, again.stderr]).toEqual([0, expect.any(String)]);
    await reader.toEnd();
    expect(results(reader.values)).toEqual(embedded);
    expect(await verifiedState(services, file)).toMatchObject({ drift: 0 });
  }, 300_000);

  it('holds back no record of a join that is left without a partner, though its input never had any', async () => {
    const { file } = await newJob(
      services,
      'lone',
      `job: lone
app: shop
sources:
  orders:
    topic: lone.orders
    fields: { id: string, at: timestamp, amount: double }
    key: id
    eventTime: { field: at, delay: 2s, idleTimeout: 1s }
  payments:
    topic: lone.payments
    fields: { order: string, at: timestamp, amount: double }
    key: order
    eventTime: { field: at, delay: 2s, idleTimeout: 1s }
join:
  left: orders
  right: payments
  on: { left: id, right: order }
  within: { after: 10s }
  kind: left
features: none
late: { policy: drop }
sinks: [{ topic: lone.out }]
deadLetters: { topic: lone.bad }
state: { flushEvery: 200ms }
`,
    );
    // Of two of four partitions, of one input alone.
    await produce(services, 'lone.orders', records([0, 1], 0, 100));
    const first = services.run(file, '--workers', '2');
    await using reader = await TopicReader.open(services, 'lone.out');
    const lone = (values: readonly string[]): readonly string[] => values.filter((value) => /"id":"r\d/.test(value));
    const second = await tickUntil('lone.orders', [0, 1], 120, reader, (values) => lone(values).length >= 20);
    const [victim = 0] = await first.workers();
    process.kill(victim, 'SIGKILL');
    await produce(services, 'lone.orders', records([0, 1], second + 10, second + 30));
    await tickUntil('lone.orders', [0, 1], second + 60, reader, (values) => lone(values).length >= 120);
    const found = lone(reader.values).map((value) => (JSON.parse(value) as { readonly id: string }).id);
    expect([found.length, new Set(found).size]).toEqual([120, 120]);
    first.child.kill('SIGTERM');
    expect([await first.ended, first.stderr]).toEqual([0, expect.stringContaining('has died by SIGKILL')]);
  }, 300_000);
});
