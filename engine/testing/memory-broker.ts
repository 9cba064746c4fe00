import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { Acquired, Commit, CommitLog, CommitMetadata, OffsetRange } from '../execution/commit-log.ts';
import { messageKey, messageValue, type MessageBatch } from '../record/message-batch.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source/source.ts';
import type { StateEntry, StateReader } from '../state/state-store.ts';

/** One message of a memory topic, by value. */
export interface MemoryMessage {
  readonly key: string;
  readonly value: string;
  readonly timestampMs: number;
}

/** What becomes of a commit: it succeeds, or the process dies before anything has happened, or after everything has, with the caller none the wiser. */
export type CommitFate = 'succeed' | 'die before' | 'die after';

/** A batch's ranges, as they were committed, with what was committed beside them. */
interface Committed {
  readonly ranges: readonly OffsetRange[];
  readonly metadata: CommitMetadata;
}

/**
 * Topics, state and offsets in memory, with the same contracts as the real ones: what a query's tests run on, ours and users'. It outlives the
 * queries that are run and killed on it, as a broker does.
 */
export class MemoryBroker {
  readonly #topics = new Map<string, MemoryMessage[][]>();
  readonly #state = new Map<string, StateEntry>();
  #commits: Committed[] = [];
  #last: Committed | null = null;
  readonly #committed = new Map<number, number>();
  #stateAt: { readonly offsets: Map<number, number>; readonly metadata: CommitMetadata } | null = null;
  #epoch = 0;
  #fates: CommitFate[] = [];

  /** Adds an empty topic. */
  createTopic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }

  /** Appends messages to one partition of a topic. */
  append(topic: string, partition: number, ...messages: readonly MemoryMessage[]): void {
    this.#partition(topic, partition).push(...messages);
  }

  /** All messages of a topic, by partition. */
  read(topic: string): readonly (readonly MemoryMessage[])[] {
    return this.#topics.get(topic) ?? [];
  }

  /** The keys and values of an operator's state. */
  stateOf(operatorId: string): readonly StateEntry[] {
    return [...this.#state]
      .filter(([name]) => name.startsWith(`${operatorId}/`))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, entry]) => entry);
  }

  /** What happens to the next commits, one after the other; those after them succeed. Replaces what was said before. */
  scriptCommits(...fates: readonly CommitFate[]): void {
    this.#fates = [...fates];
  }

  /** A new reader of a topic. */
  source(topic: string): Source {
    return new MemorySource(topic, () => this.read(topic));
  }

  /** A new owner of the one task; acquiring it fences the one before. */
  commitLog(): CommitLog {
    return new MemoryCommitLog(this);
  }

  /** For the commit log: raises the epoch and says where the task stands. */
  acquire(): { readonly epoch: number; readonly acquired: Acquired } {
    const stateOffsets = this.#stateAt?.offsets ?? new Map<number, number>();
    const acquired: Acquired = {
      committed: offsetsOf(this.#committed),
      metadata: this.#last?.metadata ?? null,
      stateAt: offsetsOf(stateOffsets),
      stateMetadata: this.#stateAt?.metadata ?? null,
      replay: this.#commits.map(({ ranges }) => ranges),
    };
    return { epoch: ++this.#epoch, acquired };
  }

  /** For the commit log: all or nothing. */
  commit(epoch: number, batch: Commit): void {
    const fate = this.#fates.shift() ?? 'succeed';
    if (fate === 'die before') throw new SluiceError('MEMORY_CRASH', 'the process died before the commit');
    if (epoch !== this.#epoch) throw new SluiceError('TASK_FENCED', 'another owner has acquired the task');
    for (const { partition, from, to } of batch.ranges) {
      assert.equal(this.#committed.get(partition) ?? 0, from, 'commits cover the log without gap or overlap');
      this.#committed.set(partition, to);
    }
    for (const output of batch.outputs) this.#appendAll(output);
    this.#last = { ranges: batch.ranges, metadata: batch.metadata };
    this.#commits.push(this.#last);
    if (batch.state !== null) {
      for (const { operatorId, key, value } of batch.state.writes) {
        const name = `${operatorId}/${Buffer.from(key).toString('hex')}`;
        if (value === null) this.#state.delete(name);
        else this.#state.set(name, { key, value });
      }
      this.#stateAt = { offsets: new Map(this.#committed), metadata: batch.metadata };
      this.#commits = [];
    }
    if (fate === 'die after') throw new SluiceError('MEMORY_CRASH', 'the process died after the commit');
  }

  /** For the commit log: one key's state. */
  getState(operatorId: string, key: Uint8Array): Uint8Array | null {
    return this.#state.get(`${operatorId}/${Buffer.from(key).toString('hex')}`)?.value ?? null;
  }

  #appendAll(messages: MessageBatch): void {
    for (let i = 0; i < messages.messageCount; i++) {
      this.append(messages.topic, messages.partitions[i] ?? 0, {
        key: Buffer.from(messageKey(messages, i)).toString(),
        value: Buffer.from(messageValue(messages, i)).toString(),
        timestampMs: messages.timestampsMs[i] ?? 0,
      });
    }
  }

  #partition(topic: string, partition: number): MemoryMessage[] {
    const messages = this.#topics.get(topic)?.[partition];
    assert(messages !== undefined, `topic ${topic} has no partition ${partition}`);
    return messages;
  }
}

function offsetsOf(offsets: ReadonlyMap<number, number>): readonly PartitionOffset[] {
  return [...offsets].map(([partition, offset]) => ({ partition, offset }));
}

class MemorySource implements Source {
  readonly name: string;
  readonly #topic: string;
  readonly #read: () => readonly (readonly MemoryMessage[])[];
  #next = new Map<number, number>();

  constructor(topic: string, read: () => readonly (readonly MemoryMessage[])[]) {
    this.name = `memory topic ${topic}`;
    this.#topic = topic;
    this.#read = read;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    const partitions = this.#read();
    return Promise.resolve(
      partitions.map((messages, partition) => ({ partition, startOffset: 0, endOffset: messages.length })),
    );
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#next = new Map(offsets.map(({ partition, offset }) => [partition, offset]));
    return Promise.resolve();
  }

  async poll({ maxRecords }: PollBounds): Promise<Polled | null> {
    // One turn of the event loop, as a real poll takes, so that an empty topic does not starve everything else.
    await new Promise((resolve) => setImmediate(resolve));
    const picked: { partition: number; offset: number; message: MemoryMessage }[] = [];
    for (const [partition, from] of this.#next) {
      const messages = (this.#read()[partition] ?? []).slice(from, from + maxRecords - picked.length);
      messages.forEach((message, index) => picked.push({ partition, offset: from + index, message }));
      this.#next.set(partition, from + messages.length);
    }
    return picked.length === 0 ? null : { kind: 'messages', messages: batchOf(this.#topic, picked) };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function batchOf(
  topic: string,
  picked: readonly { partition: number; offset: number; message: MemoryMessage }[],
): MessageBatch {
  const slab = (texts: readonly string[]): { data: Uint8Array; offsets: Int32Array } => {
    const parts = texts.map((text) => Buffer.from(text));
    const offsets = new Int32Array(parts.length + 1);
    parts.forEach((part, index) => (offsets[index + 1] = (offsets[index] ?? 0) + part.length));
    return { data: Uint8Array.from(Buffer.concat(parts)), offsets };
  };
  return {
    topic,
    messageCount: picked.length,
    partitions: Int32Array.from(picked, ({ partition }) => partition),
    offsets: Float64Array.from(picked, ({ offset }) => offset),
    timestampsMs: Float64Array.from(picked, ({ message }) => message.timestampMs),
    keys: slab(picked.map(({ message }) => message.key)),
    values: slab(picked.map(({ message }) => message.value)),
  };
}

class MemoryCommitLog implements CommitLog {
  readonly state: StateReader;
  readonly #broker: MemoryBroker;
  #epoch = 0;

  constructor(broker: MemoryBroker) {
    this.#broker = broker;
    this.state = {
      getMany: (operatorId, keys) => Promise.resolve(keys.map((key) => broker.getState(operatorId, key))),
      async *scan(operatorId) {
        for (const entry of broker.stateOf(operatorId)) yield await Promise.resolve(entry);
      },
    };
  }

  acquire(): Promise<Acquired> {
    const { epoch, acquired } = this.#broker.acquire();
    this.#epoch = epoch;
    return Promise.resolve(acquired);
  }

  async commit(batch: Commit): Promise<void> {
    await Promise.resolve();
    this.#broker.commit(this.#epoch, batch);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
