import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SluiceError } from '../error.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { SlabPool } from '../record/slab-pool.ts';
import type { Sink } from '../sink/sink.ts';
import type { PartitionOffset, Source } from '../source/source.ts';
import { EmbeddedTopicSource } from '../source/embedded/embedded-topic-source.ts';
import { EmbeddedPositions } from '../storage/embedded-positions.ts';
import { messageBatchOf, MessageBatchBuilder } from '../storage/message-batch-builder.ts';
import { Storage } from '../storage/storage.ts';
import { messageTexts } from '../storage/testing/message-texts.ts';
import { temporaryDirectory } from '../storage/testing/temporary-directory.ts';
import { systemClock, type Clock } from '../time/clock.ts';
import { followTopic, type FollowerPositions, type FollowerProgress } from './follower.ts';
import { coveredRanges, gatherMessages, giveBack } from './gather-messages.ts';

/** A sink that keeps its chunks, and does to each what the test says. */
class ListSink implements Sink {
  readonly name = 'list';
  readonly delivery = 'exactly-once';
  readonly chunks: (readonly string[])[] = [];
  before: (attempt: number) => Promise<void> = () => Promise.resolve();
  attempts = 0;

  async write(messages: MessageBatch): Promise<void> {
    await this.before(this.attempts++);
    this.chunks.push(messageTexts(messages).map(({ partition, offset, value }) => `${partition}/${offset} ${value}`));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** Memory that is spoilt as soon as it is given back: whoever looks at it afterwards sees so. */
class SpoilingPool extends SlabPool {
  constructor() {
    super(0);
  }

  override giveBack(slab: Uint8Array): void {
    slab.fill(0x3f);
    super.giveBack(slab);
  }
}

class Crash extends Error {}

interface Rig extends AsyncDisposable {
  readonly storage: Storage;
  readonly sink: ListSink;
  /** Follows until nothing is left, or until the test's crash. */
  follow(options?: Partial<Parameters<typeof followTopic>[0]>): Promise<FollowerProgress[]>;
}

async function rig(messages: number): Promise<Rig> {
  const directory = temporaryDirectory();
  const storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  storage.createTopic('topic', { partitionCount: 2 });
  for (let at = 0; at < messages; at += 7) {
    const numbers = Array.from({ length: Math.min(7, messages - at) }, (_, index) => at + index);
    await storage.append(
      messageBatchOf(
        'topic',
        numbers.map((number) => ({ value: `v${number}`, partition: number % 2 })),
      ),
    );
  }
  const sink = new ListSink();
  return {
    storage,
    sink,
    follow: async (options = {}) => {
      const progress: FollowerProgress[] = [];
      const done = new AbortController();
      await using positions = new EmbeddedPositions(storage, 'group', 'topic');
      const slabs = new SpoilingPool();
      await followTopic({
        source: new EmbeddedTopicSource(storage, 'topic', slabs),
        sink,
        slabs,
        positions,
        clock: systemClock,
        chunkRows: 20,
        chunkMs: 5,
        signal: done.signal,
        ...options,
        onProgress: (made) => {
          progress.push(made);
          if (made.lagRecords === 0) done.abort();
        },
      });
      return progress;
    },
    [Symbol.asyncDispose]: async () => {
      await storage[Symbol.asyncDispose]();
      directory[Symbol.dispose]();
    },
  };
}

function expectedOf(messages: number): string[] {
  return [0, 1].flatMap((partition) =>
    Array.from(
      { length: Math.ceil((messages - partition) / 2) },
      (_, offset) => `${partition}/${offset} v${offset * 2 + partition}`,
    ),
  );
}

const byPlace = (texts: readonly string[]): string[] =>
  texts.toSorted((a, b) => a.localeCompare(b, 'en', { numeric: true }));

describe('a follower', () => {
  it('writes every message once, in chunks, and says how far behind it is', async () => {
    await using test = await rig(101);
    const progress = await test.follow();
    expect(byPlace(test.sink.chunks.flat())).toEqual(expectedOf(101));
    expect(Math.max(...test.sink.chunks.map((chunk) => chunk.length))).toBeLessThanOrEqual(20);
    expect(progress.map(({ lagRecords }) => lagRecords)).toEqual([81, 61, 41, 21, 1, 0]);
    expect(progress.every(({ repeated }) => repeated === 'first')).toBe(true);
  });

  it('goes on where it was when it is started again', async () => {
    await using test = await rig(50);
    await test.follow();
    await test.storage.append(messageBatchOf('topic', [{ value: 'v50' }, { value: 'v51', partition: 1 }]));
    await test.follow();
    expect(byPlace(test.sink.chunks.flat())).toEqual(expectedOf(52));
  });

  it('writes the very same chunk again after it died in mid-write, and after it died before it could say that it had written', async () => {
    for (const died of ['before the write', 'after the write'] as const) {
      await using test = await rig(60);
      test.sink.before = (attempt) => {
        if (attempt === 1 && died === 'before the write') throw new Crash();
        return Promise.resolve();
      };
      const positions = new EmbeddedPositions(test.storage, 'group', 'topic');
      let stores = 0;
      const dying: FollowerPositions = {
        load: async () => positions.load(),
        store: async (position) => {
          // The fourth is the one behind the second chunk.
          if (++stores === 4 && died === 'after the write') throw new Crash();
          await positions.store(position);
        },
        [Symbol.asyncDispose]: async () => positions[Symbol.asyncDispose](),
      };
      // Other sizes than before, and than afterwards: the repeated chunk is cut as it was nevertheless.
      await expect(test.follow({ positions: dying, chunkRows: 17 })).rejects.toBeInstanceOf(Crash);
      const chunksBefore = test.sink.chunks.length;
      const [first] = await test.follow({ chunkRows: 5 });
      expect(first).toMatchObject({ repeated: 'repeated', messages: 17 });
      if (died === 'after the write')
        expect(test.sink.chunks[chunksBefore]).toEqual(test.sink.chunks[chunksBefore - 1]);
      expect(byPlace([...new Set(test.sink.chunks.flat())])).toEqual(expectedOf(60));
    }
  });

  it('waits while the sink is away, reads no further, and goes on when it is back', async () => {
    await using test = await rig(200);
    const away = new SluiceError('CLICKHOUSE_UNAVAILABLE', 'away', { retryable: 'transient' });
    test.sink.before = (attempt) => {
      if (attempt >= 2 && attempt < 40) throw away;
      return Promise.resolve();
    };
    const delays: number[] = [];
    let polls = 0;
    const source = new EmbeddedTopicSource(test.storage, 'topic');
    const poll = source.poll.bind(source);
    source.poll = async (bounds) => {
      polls += 1;
      return poll(bounds);
    };
    let pollsWhenAway = 0;
    // Sleeps take no time, so that hours of being away take none.
    const clock: Clock = { ...systemClock, sleep: async (ms, signal) => systemClock.sleep(Math.min(ms, 1), signal) };
    await test.follow({
      source,
      clock,
      onRetry: (error, delayMs) => {
        expect(error).toBe(away);
        delays.push(delayMs);
        if (delays.length === 1) pollsWhenAway = polls;
        expect(polls).toBe(pollsWhenAway);
      },
    });
    expect(delays).toHaveLength(38);
    expect(delays.slice(0, 3)).toEqual([50, 100, 200]);
    expect(delays.at(-1)).toBe(5_000);
    expect(byPlace(test.sink.chunks.flat())).toEqual(expectedOf(200));
  });

  it('ends when it is told to while the sink is away, and leaves the chunk to the next one', async () => {
    await using test = await rig(30);
    const told = new AbortController();
    test.sink.before = () => {
      throw new SluiceError('CLICKHOUSE_UNAVAILABLE', 'away', { retryable: 'transient' });
    };
    await test.follow({
      signal: told.signal,
      onRetry: () => {
        told.abort();
      },
    });
    expect(test.sink.chunks).toEqual([]);
    test.sink.before = () => Promise.resolve();
    const [first] = await test.follow();
    expect(first?.repeated).toBe('repeated');
    expect(byPlace(test.sink.chunks.flat())).toEqual(expectedOf(30));
  });

  it('stops by name at a message that the sink refuses, and stays there', async () => {
    await using test = await rig(60);
    const refused = new SluiceError('CLICKHOUSE_REFUSED', 'refused');
    test.sink.before = (attempt) => {
      if (attempt >= 1) throw refused;
      return Promise.resolve();
    };
    await expect(test.follow()).rejects.toBe(refused);
    await expect(test.follow()).rejects.toBe(refused);
    expect(test.sink.chunks).toHaveLength(1);
  });

  it('ends with the error of a source that fails while a chunk is being written, and has written that chunk', async () => {
    await using test = await rig(60);
    const lost = new SluiceError('STORAGE_DAMAGED', 'lost');
    const whole = new EmbeddedTopicSource(test.storage, 'topic');
    let begin = (): void => undefined;
    const begun = new Promise<void>((resolve) => (begin = resolve));
    let polls = 0;
    const source: Source = {
      name: whole.name,
      ranges: () => whole.ranges(),
      seek: (positions) => whole.seek(positions),
      poll: async (options) => {
        if (polls++ === 0) return whole.poll(options);
        await begun;
        throw lost;
      },
      [Symbol.asyncDispose]: () => whole[Symbol.asyncDispose](),
    };
    // The poll for the chunk behind fails some turns of the event loop before this one is written.
    test.sink.before = async () => {
      begin();
      await systemClock.sleep(1);
    };
    await expect(test.follow({ source, chunkRows: 1 })).rejects.toBe(lost);
    expect(test.sink.chunks).toHaveLength(1);
  });

  it('passes what the broker never shows once it has read all else, so that nothing seems to be left', async () => {
    await using test = await rig(50);
    // As if the last three offsets of partition 1 were marks of transactions.
    const source = new EmbeddedTopicSource(test.storage, 'topic');
    const ranges = source.ranges.bind(source);
    const beyond = (partition: number): number => (partition === 1 ? 3 : 0);
    source.ranges = async () =>
      (await ranges()).map((range) => ({ ...range, endOffset: range.endOffset + beyond(range.partition) }));
    const standsAt = (): PartitionOffset[] =>
      [0, 1].map((partition) => ({ partition, offset: 25 + beyond(partition) }));
    const progress = await test.follow({ source, standsAt });
    expect(progress.map(({ messages, lagRecords }) => [messages, lagRecords])).toEqual([
      [20, 33],
      [20, 13],
      [10, 3],
      [0, 0],
    ]);
    expect(await new EmbeddedPositions(test.storage, 'group', 'topic').load()).toEqual({
      offsets: [
        { partition: 0, offset: 25 },
        { partition: 1, offset: 28 },
      ],
      chunk: null,
    });
  });

  it('is fenced when another of its group takes over', async () => {
    await using test = await rig(100);
    test.sink.before = async (attempt) => {
      if (attempt === 1) await new EmbeddedPositions(test.storage, 'group', 'topic').load();
    };
    await expect(test.follow()).rejects.toMatchObject({ code: 'TASK_FENCED' });
  });

  it('does not pass over what retention deleted before it was written', async () => {
    await using test = await rig(0);
    test.storage.createTopic('short', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 1 } });
    const position = new EmbeddedPositions(test.storage, 'group', 'short');
    await position.load();
    await position.store({ offsets: [{ partition: 0, offset: 0 }], chunk: null });
    for (let count = 0; count < 3; count++) await test.storage.append(messageBatchOf('short', [{ value: 'x' }]));
    test.storage.applyRetention();
    const source = new EmbeddedTopicSource(test.storage, 'short');
    await expect(test.follow({ source, positions: position })).rejects.toMatchObject({ code: 'OFFSET_OUT_OF_RANGE' });
  });
});

describe('gathered messages', () => {
  it('are the same however the polls cut them, wherever their memory is from, and give the ranges to read them again', () => {
    const pool = new SpoilingPool();
    const message = fc.record({
      partition: fc.nat(3),
      key: fc.string({ maxLength: 3 }),
      value: fc.string({ maxLength: 9 }),
    });
    fc.assert(
      fc.property(
        fc.array(message, { maxLength: 40 }),
        fc.array(fc.nat(40)),
        fc.boolean(),
        (messages, cuts, pooled) => {
          const next = new Map<number, number>();
          const placed = messages.map((one) => {
            const offset = next.get(one.partition) ?? 100;
            next.set(one.partition, offset + 1);
            return { ...one, offset };
          });
          const places = [0, ...cuts.filter((cut) => cut < placed.length).toSorted((a, b) => a - b), placed.length];
          const slabs = pooled ? pool : null;
          const polls = places.slice(1).map((to, index) => {
            const builder = new MessageBatchBuilder('t', 16, slabs);
            for (const one of placed.slice(places[index], to)) builder.append(one);
            return builder.build();
          });
          const gathered = gatherMessages('t', polls, slabs);
          const order = [...next.keys()];
          const expected = placed.toSorted(
            (a, b) => order.indexOf(a.partition) - order.indexOf(b.partition) || a.offset - b.offset,
          );
          expect(messageTexts(gathered)).toEqual(
            expected.map(({ partition, offset, key, value }) => ({ partition, offset, key, value })),
          );
          expect(coveredRanges(gathered)).toEqual([...next].map(([partition, to]) => ({ partition, from: 100, to })));
          if (pooled) giveBack(pool, gathered);
        },
      ),
    );
  });
});
