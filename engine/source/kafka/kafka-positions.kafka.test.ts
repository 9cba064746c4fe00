import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startKafka, type KafkaService } from '../../../tools/services/start-kafka.ts';
import {
  followerPositionsConformance,
  type PositionsUnderTest,
} from '../../execution/follower-positions.conformance.ts';
import { KafkaTaskProducer } from '../../sink/kafka/kafka-task-producer.ts';
import { ProducerFailure, type TaskProducer } from '../../sink/kafka/task-producer.ts';
import { systemClock } from '../../time/clock.ts';
import { ConsumerGroup } from './consumer-group.ts';
import { KafkaAdmin } from './kafka-admin.ts';
import { KafkaPositions, type KafkaPositionsOptions } from './kafka-positions.ts';
import type { KafkaSettings } from './kafka-settings.ts';

let dir: string;
let broker: KafkaService;
let settings: KafkaSettings;
let topics = 0;

beforeAll(async () => {
  dir = mkdtempSync(join(tmpdir(), 'sluice-positions-'));
  broker = await startKafka({ dir });
  settings = { brokers: [broker.bootstrap], clientId: 'test' };
});

afterAll(async () => {
  await broker.kill();
  rmSync(dir, { recursive: true, force: true });
});

interface TopicUnderTest extends PositionsUnderTest {
  next(changes?: Partial<KafkaPositionsOptions>): KafkaPositions;
  openProducer(): Promise<TaskProducer>;
}

/** One member of a group, and the followers that come one after the other: they are fenced by their transactional id alone. */
async function openTopic(): Promise<TopicUnderTest> {
  const topic = `positions-${topics++}`;
  using admin = new KafkaAdmin(settings);
  await admin.createTopic({ topic, partitions: 1 });
  let wake = (): void => undefined;
  const assigned = new Promise<void>((resolve) => (wake = resolve));
  const released = (): Promise<void> => Promise.resolve();
  const group = await ConsumerGroup.join(
    { settings, groupId: topic, topic },
    { assigned: wake, revoked: released, lost: released, trouble: () => undefined },
    systemClock,
  );
  await assigned;
  const opened: KafkaPositions[] = [];
  const openProducer = (): Promise<TaskProducer> =>
    KafkaTaskProducer.open({ settings, transactionalId: topic, group, topic, partition: 0 });
  const next = (changes: Partial<KafkaPositionsOptions> = {}): KafkaPositions => {
    const positions = new KafkaPositions({
      topic,
      partition: 0,
      groupId: topic,
      openProducer,
      committed: () => group.committed(0),
      lost: new AbortController().signal,
      ...changes,
    });
    opened.push(positions);
    return positions;
  };
  return {
    next,
    openProducer,
    own: () => Promise.resolve(next()),
    [Symbol.asyncDispose]: async () => {
      for (const positions of opened) await positions[Symbol.asyncDispose]();
      await group.leave();
    },
  };
}

followerPositionsConformance('a consumer group of Kafka', openTopic);

describe("a follower's position in a consumer group of Kafka", () => {
  it('is not stored once the partition is lost', async () => {
    await using test = await openTopic();
    const lost = new AbortController();
    const positions = test.next({ lost: lost.signal });
    await positions.load();
    await positions.store({ offsets: [{ partition: 0, offset: 3 }], chunk: null });
    lost.abort();
    const late = positions.store({ offsets: [{ partition: 0, offset: 4 }], chunk: null });
    await expect(late).rejects.toMatchObject({ code: 'TASK_FENCED' });
    expect(await test.next().load()).toEqual({ offsets: [{ partition: 0, offset: 3 }], chunk: null });
  });

  it('is known after a store whose answer was lost, as soon as it is loaded again', async () => {
    await using test = await openTopic();
    let isAnswered = false;
    const positions = test.next({
      openProducer: async () => {
        const producer = await test.openProducer();
        const commit = producer.commit.bind(producer);
        producer.commit = async () => {
          await commit();
          if (!isAnswered)
            throw new ProducerFailure('resume', 'a test withholds the answer', { retryable: 'transient' });
        };
        return producer;
      },
    });
    await positions.load();
    const chunk = [{ partition: 0, from: 3, to: 9 }];
    const unclear = positions.store({ offsets: [{ partition: 0, offset: 3 }], chunk });
    await expect(unclear).rejects.toMatchObject({ retryable: 'transient' });
    isAnswered = true;
    expect(await positions.load()).toEqual({ offsets: [{ partition: 0, offset: 3 }], chunk });
    await positions.store({ offsets: [{ partition: 0, offset: 9 }], chunk: null });
    expect(await test.next().load()).toEqual({ offsets: [{ partition: 0, offset: 9 }], chunk: null });
  });

  it('is where a person has set it, and is refused where another program has left its own notes', async () => {
    await using test = await openTopic();
    const foreign = async (metadata: string): Promise<void> => {
      await using producer = await test.openProducer();
      await producer.init();
      await producer.begin();
      await producer.sendPosition({ offset: 8, metadata });
      await producer.commit();
    };
    await foreign('');
    expect(await test.next().load()).toEqual({ offsets: [{ partition: 0, offset: 8 }], chunk: null });
    for (const notes of ['theirs', '{"v":2,"chunk":null}', '{"v":1}', 'null']) {
      await foreign(notes);
      await expect(test.next().load()).rejects.toMatchObject({ code: 'FOLLOWER_PLAN_UNREADABLE' });
    }
  });
});
