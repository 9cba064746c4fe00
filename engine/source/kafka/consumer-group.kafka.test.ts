import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startKafka, type KafkaService } from '../../../tools/services/start-kafka.ts';
import type { SluiceError } from '../../error.ts';
import { systemClock } from '../../time/clock.ts';
import { ConsumerGroup, type ConsumerGroupOptions, type GroupListener } from './consumer-group.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import type { KafkaSettings } from './kafka-settings.ts';

let dir: string;
let broker: KafkaService;
let settings: KafkaSettings;
let topics = 0;
const members: ConsumerGroup[] = [];

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-group-'));
  broker = await startKafka({ dir, settings: { 'group.min.session.timeout.ms': '1000' } });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
});

afterEach(async () => {
  await Promise.all(members.splice(0).map((member) => member.leave()));
});

afterAll(async () => {
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

const inOrder = (partitions: Iterable<number>): number[] => [...partitions].toSorted((a, b) => a - b);

/** Keeps the partitions that a worker has, and everything that it was told. */
class Worker implements GroupListener {
  readonly owned = new Set<number>();
  readonly told: string[] = [];
  readonly troubles: SluiceError[] = [];
  /** Runs while partitions are being handed over. */
  handOver: () => Promise<void> = () => Promise.resolve();

  assigned(partitions: readonly number[]): void {
    this.told.push(`assigned ${inOrder(partitions).join()}`);
    for (const partition of partitions) this.owned.add(partition);
  }

  async revoked(partitions: readonly number[]): Promise<void> {
    this.told.push(`revoked ${inOrder(partitions).join()}`);
    await this.handOver();
    for (const partition of partitions) this.owned.delete(partition);
  }

  lost(partitions: readonly number[]): Promise<void> {
    this.told.push(`lost ${inOrder(partitions).join()}`);
    for (const partition of partitions) this.owned.delete(partition);
    return Promise.resolve();
  }

  trouble(error: SluiceError): void {
    this.troubles.push(error);
  }
}

async function newTopic(partitions: number): Promise<string> {
  using admin = new KafkaAdmin(settings);
  const topic = `group-${topics++}`;
  await admin.createTopic({ topic, partitions });
  return topic;
}

async function join_(
  topic: string,
  worker: Worker,
  options: Partial<ConsumerGroupOptions> = {},
): Promise<ConsumerGroup> {
  const member = await ConsumerGroup.join({ settings, groupId: topic, topic, ...options }, worker, systemClock);
  members.push(member);
  return member;
}

const patience = { timeout: 120_000, interval: 20 };

describe('a consumer group', () => {
  it('gives every partition to a worker that is alone, and takes them back when it leaves', async () => {
    const topic = await newTopic(4);
    const worker = new Worker();
    const member = await join_(topic, worker);
    await expect.poll(() => inOrder(worker.owned), patience).toEqual([0, 1, 2, 3]);

    await member.leave();

    expect(worker.told).toEqual(['assigned 0,1,2,3', 'revoked 0,1,2,3']);
    expect(worker.troubles).toEqual([]);
  });

  it('moves only what must move when a worker comes and when it goes, one owner at a time', async () => {
    const topic = await newTopic(4);
    const [first, second] = [new Worker(), new Worker()];
    await join_(topic, first);
    await expect.poll(() => first.owned.size, patience).toBe(4);
    const overlaps: number[] = [];
    first.handOver = () => {
      overlaps.push(...[...first.owned].filter((partition) => second.owned.has(partition)));
      return Promise.resolve();
    };

    const leaver = await join_(topic, second);
    await expect.poll(() => [first.owned.size, second.owned.size], patience).toEqual([2, 2]);
    expect(first.told.filter((text) => text.startsWith('revoked'))).toHaveLength(1);
    expect(overlaps).toEqual([]);

    await leaver.leave();
    await expect.poll(() => first.owned.size, patience).toBe(4);
    expect(first.told.filter((text) => text.startsWith('revoked'))).toHaveLength(1);
  });

  it('waits for the hand-over before another worker is told', async () => {
    const topic = await newTopic(2);
    const [first, second] = [new Worker(), new Worker()];
    await join_(topic, first);
    await expect.poll(() => first.owned.size, patience).toBe(2);
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    first.handOver = () => finished;

    await join_(topic, second);
    await expect.poll(() => first.told.some((text) => text.startsWith('revoked')), patience).toBe(true);
    expect(second.owned.size).toBe(0);
    finish();
    await expect.poll(() => second.owned.size, patience).toBe(1);
  });

  it('can be left at any moment, also before the first partition has come', async () => {
    const topic = await newTopic(2);
    const stays = new Worker();
    await join_(topic, stays);
    for (let pauseMs = 0; pauseMs < 400; pauseMs += 37) {
      const visitor = await ConsumerGroup.join({ settings, groupId: topic, topic }, new Worker(), systemClock);
      await systemClock.sleep(pauseMs);
      await visitor.leave();
    }
    await expect.poll(() => stays.owned.size, patience).toBe(2);
  });

  it('knows no position before the first commit', async () => {
    const topic = await newTopic(1);
    const member = await join_(topic, new Worker());
    expect(await member.committed(0)).toBeNull();
  });

  it('tells a worker whose session ran out that its partitions are lost, and gives them to it again', async () => {
    const topic = await newTopic(2);
    const worker = new Worker();
    await join_(topic, worker, { sessionTimeoutMs: 2_000 });
    await expect.poll(() => worker.owned.size, patience).toBe(2);
    const { port } = broker;
    await broker.kill();
    await expect.poll(() => worker.told.includes('lost 0,1'), patience).toBe(true);

    broker = await startKafka({ dir, port, settings: { 'group.min.session.timeout.ms': '1000' } });

    await expect.poll(() => worker.owned.size, patience).toBe(2);
    expect(worker.told).toEqual(['assigned 0,1', 'lost 0,1', 'assigned 0,1']);
  });
});
