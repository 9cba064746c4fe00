import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { Acquired, Commit, CommitLog, CommitMetadata, OffsetRange } from '../execution/commit-log.ts';
import { messageKey, messageValue, type MessageBatch } from '../record/message-batch.ts';
import type { PartitionOffset, Source } from '../source/source.ts';
import type { StateEntry, StateReader, StateWrite } from '../state/state-store.ts';
import { MemorySource, type MemoryMessage } from './memory-source.ts';

/** What becomes of a commit: it succeeds, or the process dies before anything has happened, or after everything has, with the caller none the wiser. */
export type CommitFate = 'succeed' | 'die before' | 'die after';

/**
 * A step of a commit, in the order in which they come: the transaction is begun, the outputs are handed over, the offsets are, all of it takes effect, and last, where
 * the batch brings some, the state is written. A process may die before and after each; outputs and offsets are seen from `commit` on, and state may lag behind them.
 */
export type CommitStep = 'begin' | 'produce' | 'send offsets' | 'commit' | 'write state';

/** Told before and after each step of each commit; an error that it throws ends the commit there, as the death of the process would. */
export type CommitListener = (step: CommitStep, when: 'before' | 'after') => void;

/** A message of a memory topic with its place. */
export interface PlacedMessage extends MemoryMessage {
  readonly partition: number;
  readonly offset: number;
}

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
  readonly #order = new Map<string, { readonly partition: number; readonly offset: number }[]>();

  /** Adds an empty topic. */
  createTopic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }

  /** Appends messages to one partition of a topic. */
  append(topic: string, partition: number, ...messages: readonly MemoryMessage[]): void {
    const log = this.#partition(topic, partition);
    const order = this.#order.get(topic) ?? [];
    this.#order.set(topic, order);
    messages.forEach((_, index) => order.push({ partition, offset: log.length + index }));
    log.push(...messages);
  }

  /** All messages of a topic, by partition. */
  read(topic: string): readonly (readonly MemoryMessage[])[] {
    return this.#topics.get(topic) ?? [];
  }

  /** All messages of a topic, whatever their partitions, in the order in which they were appended. */
  readInOrder(topic: string): readonly PlacedMessage[] {
    return (this.#order.get(topic) ?? []).map(({ partition, offset }) => ({
      ...(this.#partition(topic, partition)[offset] ?? { key: '', value: '', timestampMs: 0 }),
      partition,
      offset,
    }));
  }

  /** The next offset of each partition that a commit has covered. */
  committedOffsets(): readonly PartitionOffset[] {
    return offsetsOf(this.#committed);
  }

  /** What was committed beside the last batch; `null` before the first. */
  lastMetadata(): CommitMetadata | null {
    return this.#last?.metadata ?? null;
  }

  /** The offsets that the stored state reflects. */
  stateOffsets(): readonly PartitionOffset[] {
    return offsetsOf(this.#stateAt?.offsets ?? new Map<number, number>());
  }

  /** The operators that have state, in order of their names. */
  operatorIds(): readonly string[] {
    return [...new Set([...this.#state.keys()].map((name) => name.slice(0, name.lastIndexOf('/'))))].sort();
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
  commitLog(onStep: CommitListener = () => undefined): CommitLog {
    return new MemoryCommitLog(this, onStep);
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

  /** For the commit log: outputs and offsets all or nothing, then the state. */
  commit(epoch: number, batch: Commit, onStep: CommitListener): void {
    const fate = this.#fates.shift() ?? 'succeed';
    if (fate === 'die before') throw new SluiceError('MEMORY_CRASH', 'the process died before the commit');
    const step = (name: CommitStep, carryOut: () => void): void => {
      onStep(name, 'before');
      carryOut();
      onStep(name, 'after');
    };
    step('begin', () => {
      if (epoch !== this.#epoch) throw new SluiceError('TASK_FENCED', 'another owner has acquired the task');
    });
    // What is produced and sent before the commit is nobody's business: a transaction that is not committed is not read.
    step('produce', () => undefined);
    step('send offsets', () => undefined);
    step('commit', () => this.#publish(batch));
    const { state } = batch;
    if (state !== null) step('write state', () => this.#writeState(state.writes, batch.metadata));
    if (fate === 'die after') throw new SluiceError('MEMORY_CRASH', 'the process died after the commit');
  }

  /** For the commit log: one key's state. */
  getState(operatorId: string, key: Uint8Array): Uint8Array | null {
    return this.#state.get(`${operatorId}/${Buffer.from(key).toString('hex')}`)?.value ?? null;
  }

  #publish(batch: Commit): void {
    for (const { partition, from, to } of batch.ranges) {
      assert.equal(this.#committed.get(partition) ?? 0, from, 'commits cover the log without gap or overlap');
      this.#committed.set(partition, to);
    }
    for (const output of batch.outputs) this.#appendAll(output);
    this.#last = { ranges: batch.ranges, metadata: batch.metadata };
    this.#commits.push(this.#last);
  }

  #writeState(writes: readonly StateWrite[], metadata: CommitMetadata): void {
    for (const { operatorId, key, value } of writes) {
      const name = `${operatorId}/${Buffer.from(key).toString('hex')}`;
      if (value === null) this.#state.delete(name);
      else this.#state.set(name, { key, value });
    }
    this.#stateAt = { offsets: new Map(this.#committed), metadata };
    this.#commits = [];
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

class MemoryCommitLog implements CommitLog {
  readonly state: StateReader;
  readonly #broker: MemoryBroker;
  readonly #onStep: CommitListener;
  #epoch = 0;

  constructor(broker: MemoryBroker, onStep: CommitListener) {
    this.#broker = broker;
    this.#onStep = onStep;
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
    this.#broker.commit(this.#epoch, batch, this.#onStep);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}
