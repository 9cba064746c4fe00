import type { MessageBatch } from '../record/message-batch.ts';
import type { SlabPool } from '../record/slab-pool.ts';

/** Consecutive messages of one partition in the form in which a segment holds them; `ends[i]` is where string `i` ends in its slab. */
export interface MessageRun {
  readonly partition: number;
  /** Offset of message `first`. */
  readonly firstOffset: number;
  /** Messages `[first, end)` of the run's arrays. */
  readonly first: number;
  readonly end: number;
  /** One for each message, or a single one for all. */
  readonly timestampsMs: Float64Array;
  /** Empty when no message has a key. */
  readonly keyEnds: Uint32Array;
  readonly keys: Uint8Array;
  readonly valueEnds: Uint32Array;
  readonly values: Uint8Array;
}

/** A message as people write one down. `partition`, `offset` and `timestampMs` are 0, 0 and -1 ("when it is appended") when left out. */
export interface MessageInput {
  readonly value: Uint8Array | string;
  readonly key?: Uint8Array | string;
  readonly partition?: number;
  readonly offset?: number;
  readonly timestampMs?: number;
}

/** Collects messages into one {@link MessageBatch}, with a few growing slabs instead of an object a message. */
export class MessageBatchBuilder {
  readonly #topic: string;
  readonly #expectedMessages: number;
  readonly #slabs: SlabPool | null;
  #count = 0;
  #partitions: Int32Array<ArrayBuffer>;
  #offsets: Float64Array<ArrayBuffer>;
  #timestampsMs: Float64Array<ArrayBuffer>;
  #keyOffsets: Int32Array<ArrayBuffer>;
  #valueOffsets: Int32Array<ArrayBuffer>;
  #keys: Uint8Array;
  #values: Uint8Array;

  /**
   * @param expectedMessages how many will come, mostly: a right guess spares copies, a wrong one costs nothing else.
   * @param slabs where the memory of keys and values is from; fresh where there is none.
   */
  constructor(topic: string, expectedMessages = 16, slabs: SlabPool | null = null) {
    this.#topic = topic;
    this.#expectedMessages = expectedMessages;
    this.#slabs = slabs;
    this.#partitions = new Int32Array(expectedMessages);
    this.#offsets = new Float64Array(expectedMessages);
    this.#timestampsMs = new Float64Array(expectedMessages);
    this.#keyOffsets = new Int32Array(expectedMessages + 1);
    this.#valueOffsets = new Int32Array(expectedMessages + 1);
    this.#keys = new Uint8Array(0);
    this.#values = new Uint8Array(0);
  }

  get messageCount(): number {
    return this.#count;
  }

  /** Bytes of keys and values so far. */
  get byteCount(): number {
    return (this.#keyOffsets[this.#count] ?? 0) + (this.#valueOffsets[this.#count] ?? 0);
  }

  /** Adds messages of a segment. Cost: two copies of memory and a pass over the ends. */
  appendRun(run: MessageRun): void {
    const added = run.end - run.first;
    const at = this.#count;
    this.#reserve(added);
    this.#partitions.fill(run.partition, at, at + added);
    const sameTimestamp = run.timestampsMs.length === 1;
    for (let i = 0; i < added; i++) {
      this.#offsets[at + i] = run.firstOffset + i;
      this.#timestampsMs[at + i] = run.timestampsMs[sameTimestamp ? 0 : run.first + i] ?? 0;
    }
    const { keys, keyEnds, values, valueEnds, first } = run;
    this.#keys = this.#appendStrings(this.#keys, this.#keyOffsets, keys, keyEnds, first, added);
    this.#values = this.#appendStrings(this.#values, this.#valueOffsets, values, valueEnds, first, added);
    this.#count += added;
  }

  /** Adds one message: for tests, the command line and friendly producers. */
  append(message: MessageInput): void {
    const key = bytesOf(message.key ?? '');
    const value = bytesOf(message.value);
    this.appendRun({
      partition: message.partition ?? 0,
      firstOffset: message.offset ?? 0,
      first: 0,
      end: 1,
      timestampsMs: Float64Array.of(message.timestampMs ?? -1),
      keyEnds: Uint32Array.of(key.length),
      keys: key,
      valueEnds: Uint32Array.of(value.length),
      values: value,
    });
  }

  /** What was collected. The builder must not be used afterwards: its slabs are the batch's. */
  build(): MessageBatch {
    const count = this.#count;
    return {
      topic: this.#topic,
      messageCount: count,
      partitions: this.#partitions.subarray(0, count),
      offsets: this.#offsets.subarray(0, count),
      timestampsMs: this.#timestampsMs.subarray(0, count),
      keys: { data: this.#keys, offsets: this.#keyOffsets.subarray(0, count + 1) },
      values: { data: this.#values, offsets: this.#valueOffsets.subarray(0, count + 1) },
    };
  }

  #reserve(added: number): void {
    const needed = this.#count + added;
    if (needed <= this.#partitions.length) return;
    const capacity = Math.max(needed, this.#partitions.length * 2);
    this.#partitions = grown(this.#partitions, new Int32Array(capacity));
    this.#offsets = grown(this.#offsets, new Float64Array(capacity));
    this.#timestampsMs = grown(this.#timestampsMs, new Float64Array(capacity));
    this.#keyOffsets = grown(this.#keyOffsets, new Int32Array(capacity + 1));
    this.#valueOffsets = grown(this.#valueOffsets, new Int32Array(capacity + 1));
  }

  /** Copies `added` strings behind those that are there; `slab` itself, or a larger one in its place. */
  #appendStrings(
    slab: Uint8Array,
    offsets: Int32Array,
    data: Uint8Array,
    ends: Uint32Array,
    first: number,
    added: number,
  ): Uint8Array {
    const at = this.#count;
    const start = offsets[at] ?? 0;
    if (ends.length === 0) {
      offsets.fill(start, at + 1, at + added + 1);
      return slab;
    }
    const from = first === 0 ? 0 : (ends[first - 1] ?? 0);
    const to = ends[first + added - 1] ?? from;
    let target = slab;
    if (start + to - from > slab.length) {
      // The first messages tell how large the rest will be.
      const expectedBytes = at === 0 ? Math.ceil(((to - from) / added) * this.#expectedMessages * 1.05) : 0;
      const bytes = Math.max(start + to - from, slab.length * 2, expectedBytes);
      target = this.#slabs === null ? new Uint8Array(bytes) : this.#slabs.take(bytes);
      target.set(slab.subarray(0, start));
      this.#slabs?.giveBack(slab);
    }
    target.set(data.subarray(from, to), start);
    const shift = start - from;
    for (let i = 0; i < added; i++) offsets[at + i + 1] = (ends[first + i] ?? 0) + shift;
    return target;
  }
}

/** A batch of messages written down one by one: for tests, the command line and friendly producers. */
export function messageBatchOf(topic: string, messages: readonly MessageInput[]): MessageBatch {
  const builder = new MessageBatchBuilder(topic, messages.length);
  for (const message of messages) builder.append(message);
  return builder.build();
}

const encoder = new TextEncoder();

function bytesOf(text: Uint8Array | string): Uint8Array {
  return typeof text === 'string' ? encoder.encode(text) : text;
}

function grown<T extends Int32Array<ArrayBuffer> | Float64Array<ArrayBuffer>>(from: T, to: T): T {
  to.set(from);
  return to;
}
