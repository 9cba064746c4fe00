import type { MessageBatch } from '../record/message-batch.ts';
import type { SlabPool } from '../record/slab-pool.ts';
import type { OffsetRange } from './commit-log.ts';

/**
 * Several polls of one topic as one batch in which each partition's messages stand together, the partitions in the order in which they first
 * came: reading the batch's ranges again, one after another, gives the same batch.
 *
 * Cost: one copy of the messages' bytes; none for a single poll that is so already, as an embedded topic's are.
 *
 * @param slabs where the memory of the polls is from, and goes back to once it is copied: they must not be looked at afterwards.
 */
export function gatherMessages(topic: string, polls: readonly MessageBatch[], slabs: SlabPool | null): MessageBatch {
  const [only] = polls;
  if (only !== undefined && polls.length === 1 && isGathered(only)) return only;
  const partitions = new Set(polls.flatMap((poll) => [...new Set(poll.partitions.subarray(0, poll.messageCount))]));
  const messageCount = sum(polls.map((poll) => poll.messageCount));
  const gathered = {
    partitions: new Int32Array(messageCount),
    offsets: new Float64Array(messageCount),
    timestampsMs: new Float64Array(messageCount),
    keyOffsets: new Int32Array(messageCount + 1),
    valueOffsets: new Int32Array(messageCount + 1),
    keys: bytesFor(slabs, sum(polls.map(({ keys, messageCount: count }) => span(keys.offsets, 0, count)))),
    values: bytesFor(slabs, sum(polls.map(({ values, messageCount: count }) => span(values.offsets, 0, count)))),
  };
  let at = 0;
  for (const partition of partitions) {
    for (const poll of polls) {
      for (const [from, to] of runsOf(poll, partition)) {
        gathered.partitions.fill(partition, at, at + to - from);
        gathered.offsets.set(poll.offsets.subarray(from, to), at);
        gathered.timestampsMs.set(poll.timestampsMs.subarray(from, to), at);
        copyStrings(poll.keys, from, to, gathered.keys, gathered.keyOffsets, at);
        copyStrings(poll.values, from, to, gathered.values, gathered.valueOffsets, at);
        at += to - from;
      }
    }
  }
  if (slabs !== null) for (const poll of polls) giveBack(slabs, poll);
  return {
    topic,
    messageCount,
    partitions: gathered.partitions,
    offsets: gathered.offsets,
    timestampsMs: gathered.timestampsMs,
    keys: { data: gathered.keys, offsets: gathered.keyOffsets },
    values: { data: gathered.values, offsets: gathered.valueOffsets },
  };
}

/** Gives the memory of a batch that is done with back to where it is from. */
export function giveBack(slabs: SlabPool, { keys, values }: MessageBatch): void {
  slabs.giveBack(keys.data);
  slabs.giveBack(values.data);
}

/** What a gathered batch covers, by partition, in its order. */
export function coveredRanges(gathered: MessageBatch): readonly OffsetRange[] {
  const ranges = new Map<number, OffsetRange>();
  const { partitions, offsets, messageCount } = gathered;
  for (let from = 0; from < messageCount;) {
    const partition = partitions[from] ?? 0;
    let to = from + 1;
    while (to < messageCount && partitions[to] === partition) to += 1;
    const first = ranges.get(partition)?.from ?? offsets[from] ?? 0;
    ranges.set(partition, { partition, from: first, to: (offsets[to - 1] ?? 0) + 1 });
    from = to;
  }
  return [...ranges.values()];
}

/** Whether each partition's messages stand together. */
function isGathered(poll: MessageBatch): boolean {
  const seen = new Set<number>();
  for (let index = 0; index < poll.messageCount; index++) {
    const partition = poll.partitions[index] ?? 0;
    if (index > 0 && partition === poll.partitions[index - 1]) continue;
    if (seen.has(partition)) return false;
    seen.add(partition);
  }
  return true;
}

/** Where messages of a partition stand together in a poll: `[from, to)`. */
function* runsOf(poll: MessageBatch, partition: number): Generator<readonly [number, number]> {
  for (let from = 0; from < poll.messageCount;) {
    let to = from + 1;
    while (to < poll.messageCount && poll.partitions[to] === poll.partitions[from]) to += 1;
    if (poll.partitions[from] === partition) yield [from, to];
    from = to;
  }
}

function copyStrings(
  source: { readonly data: Uint8Array; readonly offsets: Int32Array },
  from: number,
  to: number,
  data: Uint8Array,
  offsets: Int32Array,
  at: number,
): void {
  const start = offsets[at] ?? 0;
  const first = source.offsets[from] ?? 0;
  data.set(source.data.subarray(first, source.offsets[to]), start);
  for (let row = from; row < to; row++) offsets[at + row - from + 1] = (source.offsets[row + 1] ?? 0) - first + start;
}

function bytesFor(slabs: SlabPool | null, bytes: number): Uint8Array {
  return slabs === null ? new Uint8Array(bytes) : slabs.take(bytes);
}

function span(offsets: Int32Array, from: number, to: number): number {
  return (offsets[to] ?? 0) - (offsets[from] ?? 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
