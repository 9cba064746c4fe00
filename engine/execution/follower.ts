import { SluiceError } from '../error.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { SlabPool } from '../record/slab-pool.ts';
import type { Sink } from '../sink/sink.ts';
import type { PartitionOffset, PartitionRange, Source } from '../source/source.ts';
import type { Clock } from '../time/clock.ts';
import { allEnded } from './all-ended.ts';
import type { OffsetRange } from './commit-log.ts';
import { coveredRanges, gatherMessages, giveBack } from './gather-messages.ts';
import { retryTransient, type RetryListener } from './retry-transient.ts';

/** Where a follower stands: at `offsets`, and, where it was about to write a chunk or was in the midst of it, what that chunk covers. */
export interface FollowerPosition {
  readonly offsets: readonly PartitionOffset[];
  /** `null` when the last chunk is known to have been written. */
  readonly chunk: readonly OffsetRange[] | null;
}

/**
 * Keeps a follower's position: the embedded log in a row, Kafka in the metadata of the group's offset. The follower calls `load` once, then `store`
 * twice a chunk; after a `store` that was rejected, nothing but `load` again, or disposal. One follower of a group runs at a time: `load`
 * fences the one before.
 */
export interface FollowerPositions extends AsyncDisposable {
  /** @throws {SluiceError} `DIRECTORY_IN_USE`, or its like, when another follower of the group runs. */
  load(): Promise<FollowerPosition>;
  /** Resolves when it is durable. @throws {SluiceError} `TASK_FENCED` when another follower has taken over. */
  store(position: FollowerPosition): Promise<void>;
}

/** What a follower has done, after each chunk. */
export interface FollowerProgress {
  /** Messages in the chunk; 0 where it only passed records of the broker's own, which are never seen. */
  readonly messages: number;
  readonly ranges: readonly OffsetRange[];
  readonly writeMs: number;
  /** Messages that were in the topic, and not yet written, when the chunk had been. */
  readonly lagRecords: number;
  /** Whether the chunk is one that may have been written before. */
  readonly repeated: 'repeated' | 'first';
}

/** A topic, a sink, and how large the chunks are. */
export interface FollowOptions {
  /** Disposed of by the caller, as the sink and the positions are. */
  readonly source: Source;
  readonly sink: Sink;
  readonly positions: FollowerPositions;
  readonly clock: Clock;
  /** A chunk is written when it has so many messages (10,000), or so many bytes, or when its first message has waited so long (1 s). */
  readonly chunkRows?: number;
  readonly chunkMs?: number;
  readonly chunkBytes?: number;
  /** How many messages one poll brings at most (`chunkRows`): a chunk may be larger than `chunkBytes` by one poll. */
  readonly pollRows?: number;
  /** Where the source has the memory of what it reads from: a chunk that is written gives its own back. Fresh where there is none. */
  readonly slabs?: SlabPool | null;
  /**
   * Where the source stands once it has given all that there is: beyond the last message where records of the broker's own follow it (the marks of
   * transactions in Kafka). Without it, a topic written by transactions would never be seen to have been read to its end.
   */
  readonly standsAt?: () => readonly PartitionOffset[];
  /** Ends the follower: what is being written is written first, what was only read is left for the next time. */
  readonly signal: AbortSignal;
  /** Told after each chunk. */
  readonly onProgress?: (progress: FollowerProgress) => void;
  readonly onRetry?: RetryListener;
}

const defaultChunkRows = 10_000;
const defaultChunkMs = 1_000;
const defaultChunkBytes = 32 * 1024 * 1024;
/** How long a poll may wait when there is nothing: long enough to cost nothing, short enough to end soon. */
const idlePollMs = 500;

/**
 * Follows a topic whose messages are committed, and puts them into a sink, a chunk at a time: exactly once where the sink is
 * idempotent by chunk (exactly-once, "The ClickHouse sink").
 *
 *   position { offsets: C, chunk: [C, X) } → write [C, X) → position { offsets: X, chunk: null } → …
 *
 * While a chunk is written, the next one is read, so that the sink does not wait for rows that are there. After a crash the chunk that was under way is
 * read again, cut exactly as before, and written again. A sink that is away costs lag, and holds two chunks in memory: one is tried until it is
 * written, the other waits.
 *
 * Resolves when `signal` is aborted, or when a bounded source has ended.
 *
 * @throws {SluiceError} what the source or the sink rejects with that is not transient; the position is then that of the last chunk written.
 */
export async function followTopic(options: FollowOptions): Promise<void> {
  const { source, positions, slabs = null } = options;
  const { offsets, chunk } = await positions.load();
  const at = new Map((await source.ranges()).map(({ partition, startOffset }) => [partition, startOffset]));
  for (const { partition, offset } of offsets) at.set(partition, offset);
  if (chunk !== null) {
    const messages = await readChunk(options, chunk);
    if (messages === null) return;
    await writeChunk(options, at, messages, 'repeated');
  }
  await source.seek(offsetsOf(at));
  for (let collected = await collect(options); !options.signal.aborted;) {
    const { polls, ended } = collected;
    const first = polls[0];
    if (first === undefined) await passUnseen(options, at);
    const [next] = await allEnded([
      ended === 'goes on' ? collect(options) : Promise.resolve(null),
      first === undefined
        ? Promise.resolve()
        : writeChunk(options, at, gatherMessages(first.topic, polls, slabs), 'first'),
    ]);
    if (next === null) return;
    collected = next;
  }
}

async function writeChunk(
  options: FollowOptions,
  at: Map<number, number>,
  messages: MessageBatch,
  repeated: FollowerProgress['repeated'],
): Promise<void> {
  const { source, sink, positions, clock, slabs = null, signal, onProgress, onRetry } = options;
  const ranges = coveredRanges(messages);
  if (repeated === 'first') await positions.store({ offsets: offsetsOf(at), chunk: ranges });
  const startedMs = clock.monotonicMs();
  try {
    await retryTransient(
      () => sink.write(messages),
      clock,
      signal,
      (error, delayMs) => onRetry?.(error, delayMs),
    );
  } catch (thrown) {
    // Told to end while the sink is away: the chunk is the next one's to write.
    if (signal.aborted && thrown instanceof SluiceError && thrown.retryable === 'transient') return;
    throw thrown;
  }
  if (slabs !== null) giveBack(slabs, messages);
  for (const { partition, to } of ranges) at.set(partition, to);
  await positions.store({ offsets: offsetsOf(at), chunk: null });
  if (onProgress === undefined) return;
  const writeMs = clock.monotonicMs() - startedMs;
  /** Told after each chunk. */
  onProgress({
    messages: messages.messageCount,
    ranges,
    writeMs,
    lagRecords: lagOf(at, await source.ranges()),
    repeated,
  });
}

/** Moves the position to where the source stands, when nothing was left to give. */
async function passUnseen(
  { source, positions, standsAt, onProgress }: FollowOptions,
  at: Map<number, number>,
): Promise<void> {
  const passed = (standsAt?.() ?? []).filter(({ partition, offset }) => offset > (at.get(partition) ?? 0));
  if (passed.length === 0) return;
  for (const { partition, offset } of passed) at.set(partition, offset);
  await positions.store({ offsets: offsetsOf(at), chunk: null });
  if (onProgress === undefined) return;
  const lagRecords = lagOf(at, await source.ranges());
  onProgress({ messages: 0, ranges: [], writeMs: 0, lagRecords, repeated: 'first' });
}

/**
 * Polls until the chunk is full, its first message has waited long enough, or there is no more.
 *
 * @returns no polls at all where the first one brought nothing.
 */
async function collect(
  options: FollowOptions,
): Promise<{ polls: readonly MessageBatch[]; ended: 'ended' | 'goes on' }> {
  const { source, clock, signal } = options;
  const { chunkRows = defaultChunkRows, chunkMs = defaultChunkMs, chunkBytes = defaultChunkBytes } = options;
  const { pollRows = chunkRows } = options;
  const polls: MessageBatch[] = [];
  let rows = 0;
  let bytes = 0;
  let deadlineMs = Infinity;
  while (rows < chunkRows && bytes < chunkBytes && clock.monotonicMs() < deadlineMs && !signal.aborted) {
    const maxWaitMs = Math.min(idlePollMs, Math.max(0, deadlineMs - clock.monotonicMs()));
    const polled = await source.poll({ maxRecords: Math.min(pollRows, chunkRows - rows), maxWaitMs, signal });
    if (polled === 'end') return { polls, ended: 'ended' };
    if (polled === null) {
      if (polls.length === 0) break;
      continue;
    }
    if (polled.kind !== 'messages') throw noMessages(source);
    if (polls.length === 0) deadlineMs = clock.monotonicMs() + chunkMs;
    polls.push(polled.messages);
    rows += polled.messages.messageCount;
    bytes +=
      (polled.messages.values.offsets[polled.messages.messageCount] ?? 0) - (polled.messages.values.offsets[0] ?? 0);
  }
  return { polls, ended: 'goes on' };
}

/** Reads a chunk again, range by range; `null` when the follower is told to end before it has all. */
async function readChunk(
  { source, slabs = null, signal }: FollowOptions,
  ranges: readonly OffsetRange[],
): Promise<MessageBatch | null> {
  const polls: MessageBatch[] = [];
  for (const { partition, from, to } of ranges) {
    await source.seek([{ partition, offset: from }]);
    for (let offset = from; offset < to;) {
      if (signal.aborted) return null;
      const polled = await source.poll({ maxRecords: to - offset, maxWaitMs: idlePollMs, signal });
      if (polled === null) continue;
      if (polled === 'end' || polled.kind !== 'messages') throw noMessages(source);
      const messages = messagesBefore(polled.messages, to);
      polls.push(messages);
      // A topic's offsets may have gaps (a broker's own records), so a poll can reach beyond the range, and past its end.
      offset = messages.messageCount < polled.messages.messageCount ? to : lastOffset(messages) + 1;
    }
  }
  return gatherMessages(polls[0]?.topic ?? '', polls, slabs);
}

/** The messages of a poll of one partition that stand before an offset. */
function messagesBefore(messages: MessageBatch, end: number): MessageBatch {
  let count = messages.messageCount;
  while (count > 0 && (messages.offsets[count - 1] ?? 0) >= end) count -= 1;
  return { ...messages, messageCount: count };
}

function lastOffset(messages: MessageBatch): number {
  return messages.offsets[messages.messageCount - 1] ?? -1;
}

function lagOf(at: ReadonlyMap<number, number>, ranges: readonly PartitionRange[]): number {
  return ranges.reduce(
    (lag, { partition, startOffset, endOffset }) => lag + endOffset - (at.get(partition) ?? startOffset),
    0,
  );
}

function offsetsOf(at: ReadonlyMap<number, number>): readonly PartitionOffset[] {
  return [...at].map(([partition, offset]) => ({ partition, offset })).toSorted((a, b) => a.partition - b.partition);
}

function noMessages(source: Source): SluiceError {
  return new SluiceError(
    'SOURCE_WITHOUT_MESSAGES',
    `a follower must read a topic; ${source.name} gives something else`,
    {
      fields: { source: source.name },
    },
  );
}
