import { describe, expect, it } from 'vitest';
import { messageValue } from '../record/message-batch.ts';
import type { PartitionOffset, PollBounds, Source } from './source.ts';

/** An unbounded source of messages and a way to feed it, over a topic of its own with `partitionCount` partitions. */
export interface SourceUnderTest extends AsyncDisposable {
  readonly source: Source;
  /** Appends messages without keys; resolves when a poll that follows finds them. */
  add(partition: number, values: readonly string[]): Promise<void>;
}

interface Read {
  readonly partition: number;
  readonly offset: number;
  readonly value: string;
}

const decoder = new TextDecoder();
const soon: PollBounds = { maxRecords: 1_000, maxWaitMs: 30_000 };
const notNow: PollBounds = { maxRecords: 1_000, maxWaitMs: 20 };

/**
 * What every source of messages must keep of the contract in `source.ts`. An implementation joins with one line:
 * `sourceConformance('embedded topic', (partitionCount) => …)`.
 */
export function sourceConformance(name: string, open: (partitionCount: number) => Promise<SourceUnderTest>): void {
  describe(`${name} keeps the contract of a source`, () => {
    it('says what each partition holds', async () => {
      await using test = await open(2);
      await test.add(1, ['a', 'b', 'c']);
      expect(await test.source.ranges()).toEqual([
        { partition: 0, startOffset: 0, endOffset: 0 },
        { partition: 1, startOffset: 0, endOffset: 3 },
      ]);
    });

    it('gives null when nothing comes', async () => {
      await using test = await open(1);
      await test.source.seek([{ partition: 0, offset: 0 }]);
      expect(await test.source.poll(notNow)).toBeNull();
    });

    it('resolves with what is there, without waiting for more', async () => {
      await using test = await open(1);
      await test.add(0, ['a']);
      await test.source.seek([{ partition: 0, offset: 0 }]);
      expect(await poll(test.source, soon)).toEqual([{ partition: 0, offset: 0, value: 'a' }]);
    });

    it('resolves when the first message comes while it waits', async () => {
      await using test = await open(1);
      await test.source.seek([{ partition: 0, offset: 0 }]);
      const polled = poll(test.source, soon);
      await test.add(0, ['late']);
      expect(await polled).toEqual([{ partition: 0, offset: 0, value: 'late' }]);
    });

    it('brings nothing of a partition that is paused, and goes on with it where it stood', async () => {
      await using test = await open(2);
      await test.add(0, ['a', 'b', 'c']);
      await test.add(1, ['x', 'y', 'z']);
      await test.source.seek([
        { partition: 0, offset: 0 },
        { partition: 1, offset: 0 },
      ]);
      const first = await poll(test.source, { ...soon, maxRecords: 2, paused: new Set([1]) });
      await test.add(1, ['last']);
      const rest = await readAll(test.source, 3 - first.length, new Set([1]));
      expect([...first, ...rest].map(({ value }) => value)).toEqual(['a', 'b', 'c']);
      expect(await test.source.poll({ ...notNow, paused: new Set([1]) })).toBeNull();
      expect(await test.source.poll({ ...notNow, paused: new Set([0, 1]) })).toBeNull();
      await test.add(0, ['d']);
      const others = await readAll(test.source, 4, new Set([0]));
      expect(others.map(({ value }) => value)).toEqual(['x', 'y', 'z', 'last']);
      expect(await poll(test.source, soon)).toEqual([{ partition: 0, offset: 3, value: 'd' }]);
    });

    it('gives null when the signal is aborted while it waits', async () => {
      await using test = await open(1);
      await test.source.seek([{ partition: 0, offset: 0 }]);
      const controller = new AbortController();
      const polled = test.source.poll({ ...soon, signal: controller.signal });
      controller.abort();
      expect(await polled).toBeNull();
    });

    it('never brings more than it was asked for', async () => {
      await using test = await open(3);
      for (const partition of [0, 1, 2]) await test.add(partition, letters(10));
      await test.source.seek(fromStart(3));
      for (let count = 0; count < 5; count++) {
        const read = await poll(test.source, { ...soon, maxRecords: 4 });
        expect(read.length).toBeGreaterThan(0);
        expect(read.length).toBeLessThanOrEqual(4);
      }
    });

    it('reads every offset of every partition once, in order, whatever the polls bring', async () => {
      await using test = await open(3);
      await test.add(0, letters(25));
      await test.add(2, letters(7));
      await test.source.seek(fromStart(3));
      const read = await readUntil(test.source, 32, 5);
      await test.add(0, ['more']);
      read.push(...(await readUntil(test.source, 1, 5)));
      expect(read.filter(({ partition }) => partition === 0).map(({ offset }) => offset)).toEqual([
        ...Array(26).keys(),
      ]);
      expect(read.filter(({ partition }) => partition === 2).map(({ value }) => value)).toEqual(letters(7));
      expect(await test.source.poll(notNow)).toBeNull();
    });

    it('goes back, or on, to where it is sent', async () => {
      await using test = await open(1);
      await test.add(0, letters(10));
      await test.source.seek([{ partition: 0, offset: 0 }]);
      const first = await readUntil(test.source, 10, 4);
      await test.source.seek([{ partition: 0, offset: 3 }]);
      expect(await readUntil(test.source, 7, 4)).toEqual(first.slice(3));
      await test.source.seek([{ partition: 0, offset: 10 }]);
      expect(await test.source.poll(notNow)).toBeNull();
    });

    it('leaves partitions alone that were not named', async () => {
      await using test = await open(2);
      await test.add(0, letters(3));
      await test.add(1, letters(3));
      await test.source.seek([{ partition: 1, offset: 1 }]);
      const read = await readUntil(test.source, 2, 10);
      expect(read.map(({ partition, offset }) => [partition, offset])).toEqual([
        [1, 1],
        [1, 2],
      ]);
      expect(await test.source.poll(notNow)).toBeNull();
    });

    it('refuses an offset that the log does not reach to, and resets nothing by itself', async () => {
      await using test = await open(1);
      await test.add(0, letters(3));
      await test.source.seek([{ partition: 0, offset: 100 }]);
      await expect(test.source.poll(soon)).rejects.toMatchObject({
        code: 'OFFSET_OUT_OF_RANGE',
        retryable: 'permanent',
      });
    });
  });
}

async function poll(source: Source, bounds: PollBounds): Promise<Read[]> {
  const polled = await source.poll(bounds);
  if (polled === null || polled === 'end' || polled.kind !== 'messages')
    throw new Error('a poll that waits must bring messages');
  const { messages } = polled;
  return Array.from({ length: messages.messageCount }, (_, index) => ({
    partition: messages.partitions[index] ?? -1,
    offset: messages.offsets[index] ?? -1,
    value: decoder.decode(messageValue(messages, index)),
  }));
}

async function readAll(source: Source, count: number, paused: ReadonlySet<number>): Promise<Read[]> {
  const read: Read[] = [];
  while (read.length < count) read.push(...(await poll(source, { ...soon, paused })));
  return read;
}

async function readUntil(source: Source, count: number, maxRecords: number): Promise<Read[]> {
  const read: Read[] = [];
  while (read.length < count) read.push(...(await poll(source, { ...soon, maxRecords })));
  return read;
}

function fromStart(partitionCount: number): PartitionOffset[] {
  return Array.from({ length: partitionCount }, (_, partition) => ({ partition, offset: 0 }));
}

function letters(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `message ${index}`);
}
