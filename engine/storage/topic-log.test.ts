import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../error.ts';
import { systemClock, type Clock } from '../time/clock.ts';
import { messageBatchOf, type MessageInput } from './message-batch-builder.ts';
import { Storage } from './storage.ts';
import { messageTexts, topicTexts } from './testing/message-texts.ts';
import { temporaryDirectory } from './testing/temporary-directory.ts';

async function withStorage(body: (storage: Storage) => Promise<void>, clock: Clock = systemClock): Promise<void> {
  using directory = temporaryDirectory();
  await using storage = await Storage.open({ directory: directory.path, access: 'write', clock });
  await body(storage);
}

function codeOf(body: () => unknown): string {
  try {
    body();
  } catch (thrown) {
    if (thrown instanceof SluiceError) return thrown.code;
    throw thrown;
  }
  return 'nothing was thrown';
}

describe('topics', () => {
  it('have names by the rules of Kafka', async () => {
    await withStorage(async (storage) => {
      for (const name of ['', '.', '..', 'a b', 'ä', 'a/b', 'x'.repeat(250)]) {
        expect(codeOf(() => storage.createTopic(name, { partitionCount: 1 }))).toBe('TOPIC_NAME_INVALID');
      }
      for (const name of ['a', 'A.b_c-9', 'x'.repeat(249)]) storage.createTopic(name, { partitionCount: 1 });
      expect(storage.topics().map(({ name }) => name)).toEqual(['A.b_c-9', 'a', 'x'.repeat(249)]);
      return Promise.resolve();
    });
  });

  it('are made once, and found again with what they were made with', async () => {
    using directory = temporaryDirectory();
    const options = { directory: directory.path, access: 'write', clock: systemClock } as const;
    const retention = { maxAgeMs: 1_000, maxBytes: 2_000 };
    {
      await using storage = await Storage.open(options);
      storage.createTopic('a', { partitionCount: 3, retention });
      expect(codeOf(() => storage.createTopic('a', { partitionCount: 3 }))).toBe('TOPIC_EXISTS');
      expect(codeOf(() => storage.createTopic('b', { partitionCount: 0 }))).toBe('TOPIC_PARTITIONS_INVALID');
    }
    await using storage = await Storage.open(options);
    expect(storage.ensureTopic('a', { partitionCount: 3 })).toMatchObject({ name: 'a', partitionCount: 3, retention });
    expect(codeOf(() => storage.ensureTopic('a', { partitionCount: 4 }))).toBe('TOPIC_PARTITIONS_DIFFER');
    expect(storage.ensureTopic('b', { partitionCount: 2 }).partitionCount).toBe(2);
  });

  it('that were deleted are gone, and start from 0 when they are made anew', async () => {
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 1 });
      storage.createTopic('b', { partitionCount: 1 });
      await storage.append(messageBatchOf('a', [{ value: '1' }]));
      await storage.append(messageBatchOf('b', [{ value: '2' }]));
      storage.deleteTopic('a');
      expect(codeOf(() => storage.ranges('a'))).toBe('TOPIC_MISSING');
      storage.createTopic('a', { partitionCount: 1 });
      expect(storage.ranges('a')).toEqual([{ partition: 0, startOffset: 0, endOffset: 0 }]);
      expect(topicTexts(storage, 'b').map(({ value }) => value)).toEqual(['2']);
    });
  });

  it('are refused to readers of a directory that holds no log', async () => {
    using directory = temporaryDirectory();
    await expect(Storage.open({ directory: directory.path, access: 'read', clock: systemClock })).rejects.toMatchObject(
      { code: 'STORAGE_MISSING' },
    );
  });
});

describe('messages', () => {
  it('are given offsets by partition, without gaps', async () => {
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 3 });
      const messages = [2, 0, 2, 2, 0].map((partition, index) => ({ value: `v${index}`, partition }));
      expect(await storage.append(messageBatchOf('a', messages))).toEqual([
        { partition: 0, from: 0, to: 2 },
        { partition: 2, from: 0, to: 3 },
      ]);
      expect(await storage.append(messageBatchOf('a', [{ value: 'v5', partition: 2 }]))).toEqual([
        { partition: 2, from: 3, to: 4 },
      ]);
      expect(topicTexts(storage, 'a').map(({ partition, offset, value }) => `${partition}/${offset} ${value}`)).toEqual(
        ['0/0 v1', '0/1 v4', '2/0 v0', '2/1 v2', '2/2 v3', '2/3 v5'],
      );
    });
  });

  it('keep their timestamps, and get the time at which they were appended when they have none', async () => {
    const clock: Clock = { ...systemClock, nowMs: () => 1_234 };
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 1 });
      await storage.append(
        messageBatchOf('a', [{ value: 'x', timestampMs: 5.5 }, { value: 'y', timestampMs: 0 }, { value: 'z' }]),
      );
      await storage.append(
        messageBatchOf('a', [
          { value: 'p', timestampMs: 9 },
          { value: 'q', timestampMs: 9 },
        ]),
      );
      const batch = storage.log.read(storage.topic('a'), [{ partition: 0, offset: 0, maxRecords: 9 }], 1_000);
      expect([...(batch?.timestampsMs ?? [])]).toEqual([5.5, 0, 1_234, 9, 9]);
    }, clock);
  });

  it('of a batch are appended all or not at all', async () => {
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 1 });
      const batch = messageBatchOf('a', [
        { value: 'x', partition: 0 },
        { value: 'y', partition: 1 },
      ]);
      await expect(storage.append(batch)).rejects.toMatchObject({ code: 'PARTITION_MISSING' });
      expect(storage.ranges('a')).toEqual([{ partition: 0, startOffset: 0, endOffset: 0 }]);
      const large = messageBatchOf('a', [{ value: 'x' }, { value: new Uint8Array(16 * 1024 * 1024 + 1) }]);
      await expect(storage.append(large)).rejects.toMatchObject({ code: 'MESSAGE_TOO_LARGE' });
      expect(topicTexts(storage, 'a')).toEqual([]);
    });
  });

  it('are read as they were appended, whatever the batches, the sizes and the reads', async () => {
    const message = fc.record({
      partition: fc.nat(2),
      key: fc.oneof(fc.constant(''), fc.string({ maxLength: 8 })),
      value: fc.oneof(
        fc.string({ maxLength: 40 }),
        // Large enough for a segment to be cut, and for LMDB to use pages of its own.
        fc.integer({ min: 1, max: 200_000 }).map((size) => 'x'.repeat(size)),
      ),
    });
    await withStorage(async (storage) => {
      let run = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.array(message, { maxLength: 12 }), { maxLength: 8 }),
          fc.array(fc.tuple(fc.nat(2), fc.nat(60), fc.integer({ min: 1, max: 60 })), { maxLength: 10 }),
          async (batches, reads) => {
            const name = `topic${run++}`;
            storage.createTopic(name, { partitionCount: 3 });
            const expected: Required<Omit<MessageInput, 'timestampMs'>>[][] = [[], [], []];
            for (const batch of batches) {
              await storage.append(messageBatchOf(name, batch));
              for (const { partition, key, value } of batch) {
                const log = expected[partition] ?? [];
                log.push({ partition, offset: log.length, key, value });
              }
            }
            expect(topicTexts(storage, name)).toEqual(expected.flat());
            for (const [partition, from, maxRecords] of reads) {
              const log = expected[partition] ?? [];
              const offset = Math.min(from, log.length);
              const batch = storage.log.read(
                storage.topic(name),
                [{ partition, offset, maxRecords }],
                64 * 1024 * 1024,
              );
              expect(batch === null ? [] : messageTexts(batch)).toEqual(log.slice(offset, offset + maxRecords));
            }
          },
        ),
        { numRuns: 60 },
      );
    });
  });
});

describe('retention', () => {
  it('by size deletes whole segments, the oldest first, and never the newest', async () => {
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 2, retention: { maxAgeMs: null, maxBytes: 25_000 } });
      for (let count = 0; count < 10; count++) {
        await storage.append(
          messageBatchOf('a', [{ value: new Uint8Array(10_000) }, { value: new Uint8Array(10_000) }]),
        );
      }
      await storage.append(messageBatchOf('a', [{ value: new Uint8Array(90_000), partition: 1 }]));
      expect(storage.applyRetention()).toBe(18);
      expect(storage.ranges('a')).toEqual([
        { partition: 0, startOffset: 18, endOffset: 20 },
        { partition: 1, startOffset: 0, endOffset: 1 },
      ]);
      const read = (offset: number): unknown =>
        storage.log.read(storage.topic('a'), [{ partition: 0, offset, maxRecords: 1 }], 1);
      expect(codeOf(() => read(17))).toBe('OFFSET_OUT_OF_RANGE');
      expect(codeOf(() => read(21))).toBe('OFFSET_OUT_OF_RANGE');
      expect(read(18)).not.toBeNull();
      expect(read(20)).toBeNull();
    });
  });

  it('by time goes by when a message was appended, not by its timestamp', async () => {
    let nowMs = 1_000_000;
    const clock: Clock = { ...systemClock, nowMs: () => nowMs };
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 1, retention: { maxAgeMs: 5_000, maxBytes: null } });
      for (let count = 0; count < 5; count++) {
        await storage.append(messageBatchOf('a', [{ value: 'old event', timestampMs: 1 }]));
        nowMs += 2_000;
      }
      expect(storage.applyRetention()).toBe(3);
      expect(storage.ranges('a')).toEqual([{ partition: 0, startOffset: 3, endOffset: 5 }]);
      expect(storage.applyRetention()).toBe(0);
    }, clock);
  });

  it('deletes any number of segments, a bounded number in each transaction', async () => {
    await withStorage(async (storage) => {
      storage.createTopic('a', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 0 } });
      for (let count = 0; count < 300; count++) await storage.append(messageBatchOf('a', [{ value: 'x' }]));
      expect(storage.log.applyRetention(storage.topic('a'), 0)).toBeLessThan(299);
      storage.applyRetention();
      expect(storage.ranges('a')).toEqual([{ partition: 0, startOffset: 299, endOffset: 300 }]);
    });
  });
});
