import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { Storage } from '../../storage/storage.ts';
import { temporaryDirectory } from '../../storage/testing/temporary-directory.ts';
import { systemClock } from '../../time/clock.ts';
import { sourceConformance } from '../source.conformance.ts';
import { EmbeddedTopicSource } from './embedded-topic-source.ts';
import { fairShares } from './fair-shares.ts';

sourceConformance('an embedded topic', async (partitionCount) => {
  const directory = temporaryDirectory();
  const storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  storage.createTopic('topic', { partitionCount });
  const source = new EmbeddedTopicSource(storage, 'topic');
  return {
    source,
    add: async (partition, values) => {
      await storage.append(
        messageBatchOf(
          'topic',
          values.map((value) => ({ value, partition })),
        ),
      );
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await storage[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
});

describe('an embedded topic as a source', () => {
  it('does not let a busy partition starve the others', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    storage.createTopic('topic', { partitionCount: 3 });
    const many = Array.from({ length: 5_000 }, () => ({ value: 'x', partition: 0 }));
    await storage.append(
      messageBatchOf('topic', [...many, { value: 'y', partition: 1 }, { value: 'z', partition: 2 }]),
    );
    const source = new EmbeddedTopicSource(storage, 'topic');
    await source.seek([0, 1, 2].map((partition) => ({ partition, offset: 0 })));
    const polled = await source.poll({ maxRecords: 100, maxWaitMs: 1_000 });
    const partitions = polled?.kind === 'messages' ? [...polled.messages.partitions] : [];
    expect(partitions).toHaveLength(100);
    expect(new Set(partitions)).toEqual(new Set([0, 1, 2]));
  });

  it('lets the event loop turn while there is a backlog, so that whoever stops its reader is heard', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    storage.createTopic('topic', { partitionCount: 1 });
    await storage.append(
      messageBatchOf(
        'topic',
        Array.from({ length: 400 }, () => ({ value: 'x' })),
      ),
    );
    const source = new EmbeddedTopicSource(storage, 'topic');
    await source.seek([{ partition: 0, offset: 0 }]);
    let isStopped = false;
    let polls = 0;
    setImmediate(() => (isStopped = true));
    for (; polls < 400 && !isStopped; polls++) await source.poll({ maxRecords: 1, maxWaitMs: 1_000 });
    expect(polls).toBeLessThan(20);
  });

  it('refuses a topic that is not there, and names the nearest', async () => {
    using directory = temporaryDirectory();
    await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
    storage.createTopic('transactions', { partitionCount: 1 });
    const source = new EmbeddedTopicSource(storage, 'transactoins');
    await expect(source.ranges()).rejects.toMatchObject({
      code: 'TOPIC_MISSING',
      message: expect.stringContaining('did you mean transactions?') as string,
    });
  });
});

describe('fair shares', () => {
  const availability = fc.array(fc.nat(50), { minLength: 1, maxLength: 12 });

  it('give out all that is asked for or there is, and nobody more than it has', () => {
    fc.assert(
      fc.property(availability, fc.integer({ min: 1, max: 200 }), (records, maxRecords) => {
        const available = records.map((count, partition) => ({ partition, records: count }));
        const shares = fairShares(available, maxRecords);
        const total = shares.reduce((sum, share) => sum + share.records, 0);
        expect(total).toBe(
          Math.min(
            maxRecords,
            records.reduce((sum, count) => sum + count, 0),
          ),
        );
        for (const { partition, records: share } of shares) expect(share).toBeLessThanOrEqual(records[partition] ?? 0);
      }),
    );
  });

  it('give nobody two more than another that has more to give', () => {
    fc.assert(
      fc.property(availability, fc.integer({ min: 1, max: 200 }), (records, maxRecords) => {
        const available = records.map((count, partition) => ({ partition, records: count }));
        const shares = new Map(fairShares(available, maxRecords).map((share) => [share.partition, share.records]));
        const largest = Math.max(0, ...shares.values());
        records.forEach((count, partition) => {
          const share = shares.get(partition) ?? 0;
          if (share < count) expect(share).toBeGreaterThanOrEqual(largest - 1);
        });
      }),
    );
  });
});
