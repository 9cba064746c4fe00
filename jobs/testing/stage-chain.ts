import { strict as assert } from 'node:assert';
import { lastValueFrom, of } from 'rxjs';
import type { CommitLog } from '../../engine/execution/commit-log.ts';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import { decodeParts } from '../../engine/execution/decode-parts.ts';
import { idleBatch, idleForOthers } from '../../engine/execution/idle-batch.ts';
import { runSection, takeState, type Section } from '../../engine/execution/section.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import { messageKey, messageValue, type MessageBatch } from '../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Source } from '../../engine/source/source.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { messageBatchOf, type MessageInput } from '../../engine/storage/message-batch-builder.ts';
import { PartitionWatermarks, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';

/** Topics in memory, with messages as bytes; by partition. */
export class MemoryLog {
  readonly #topics = new Map<string, MessageInput[][]>();

  /** Makes a topic that is empty; one of the same name is forgotten. */
  createTopic(topic: string, partitions: number): void {
    this.#topics.set(
      topic,
      Array.from({ length: partitions }, () => []),
    );
  }

  /** The messages of a partition, in order. */
  of(topic: string, partition: number): readonly MessageInput[] {
    return this.#partition(topic, partition);
  }

  /** 0 for a topic that there is not. */
  partitionCount(topic: string): number {
    return this.#topics.get(topic)?.length ?? 0;
  }

  /** Appends messages to the partitions that they name; their offsets are given here. */
  append(messages: MessageBatch): void {
    for (let index = 0; index < messages.messageCount; index++) {
      const partition = messages.partitions[index] ?? 0;
      const log = this.#partition(messages.topic, partition);
      log.push({
        partition,
        offset: log.length,
        timestampMs: messages.timestampsMs[index] ?? -1,
        key: messageKey(messages, index),
        value: messageValue(messages, index),
      });
    }
  }

  /** Messages `[from, to)` of a partition as a source gives them. */
  batch(topic: string, partition: number, from: number, to: number): MessageBatch {
    return messageBatchOf(topic, this.#partition(topic, partition).slice(from, to));
  }

  #partition(topic: string, partition: number): MessageInput[] {
    const log = this.#topics.get(topic)?.[partition];
    assert(log !== undefined, `there is no ${topic}-${partition}`);
    return log;
  }
}

/** In the place of what a task under test does not use: it is fed, and its outputs are taken from it. */
export const noSource: Source = {} as Source;
/** As {@link noSource}. */
export const noCommitLog: CommitLog = {} as CommitLog;

/** What a task is now, or was when its state was stored. */
interface Standing {
  readonly offset: number;
  readonly watermarks: readonly PartitionWatermark[];
}

/** What came of a part of a batch. */
interface Computed {
  readonly records: RecordBatch;
  readonly late: RecordBatch | null;
  readonly deadLetters: readonly DeadLetter[];
}

/** What is done with each part as it leaves the operators. */
type Use = (part: Computed) => Promise<void>;

/**
 * One task of a stage over logs in memory, batch by batch, by the rules of the batch loop: decode, watermarks, operators, scores, messages. Its state is
 * stored when the test says so, and it dies when the test says so: then it is built anew from what was stored, and replays in silence.
 */
export class TaskUnderTest {
  readonly #query: QueryDefinition;
  readonly #log: MemoryLog;
  readonly #topic: string;
  readonly #partition: number;
  readonly #state = new Map<string, Map<string, Uint8Array>>();
  #stored: Standing | null = null;
  #offset = 0;
  #watermarks = new PartitionWatermarks();
  #section: Section;
  /** Dead letters so far. */
  readonly deadLetters: DeadLetter[] = [];

  constructor(query: QueryDefinition, log: MemoryLog, topic: string, partition: number) {
    this.#query = query;
    this.#log = log;
    this.#topic = topic;
    this.#partition = partition;
    this.#section = this.#open();
  }

  /** Messages that it has not read yet. */
  get lag(): number {
    return this.#log.of(this.#topic, this.#partition).length - this.#offset;
  }

  /** Reads up to so many messages and appends what comes of them. */
  async work(maxRecords: number): Promise<void> {
    const to = Math.min(this.#offset + maxRecords, this.#offset + this.lag);
    await this.#compute(this.#offset, to, (part) => this.#publish(part));
    this.#offset = to;
  }

  /** Says to the next stage that its partition is idle, for a task that reads an input. @param idleForMs how far the clock moves its watermark on; 0 where that stays. */
  async goIdle(idleForMs: number): Promise<void> {
    const { idle } = this.#query;
    assert(idle?.heardBy !== undefined, 'somebody behind an exchange waits for it');
    const range = { partition: this.#partition, from: this.#offset, to: this.#offset, idleForMs };
    const records = idleBatch(idle.schema, idleForOthers([range], this.#watermarks));
    await this.#publish({ records, late: null, deadLetters: [] });
  }

  /** Stores its state. */
  store(): void {
    for (const { operatorId, key, value } of takeState(this.#section)) {
      const values = this.#state.get(operatorId) ?? new Map<string, Uint8Array>();
      this.#state.set(operatorId, values);
      const name = Buffer.from(key).toString('hex');
      if (value === null) values.delete(name);
      else values.set(name, value.slice());
    }
    this.#stored = { offset: this.#offset, watermarks: this.#watermarks.entries() };
  }

  /** Dies after its last commit; another owner takes over. */
  async die(): Promise<void> {
    const committed = this.#offset;
    this.#offset = this.#stored?.offset ?? 0;
    this.#watermarks = new PartitionWatermarks(this.#stored?.watermarks ?? []);
    this.#section = this.#open();
    await this.#compute(this.#offset, committed, () => Promise.resolve());
    this.#offset = committed;
  }

  /** The stored state of all keys, for comparisons. */
  get state(): ReadonlyMap<string, ReadonlyMap<string, Uint8Array>> {
    return this.#state;
  }

  #open(): Section {
    const reader: StateReader = {
      getMany: (operatorId, keys) =>
        Promise.resolve(keys.map((key) => this.#state.get(operatorId)?.get(Buffer.from(key).toString('hex')) ?? null)),
      scan: async function* (this: TaskUnderTest, operatorId: string) {
        const entries = [...(this.#state.get(operatorId) ?? [])].sort(([a], [b]) => (a < b ? -1 : 1));
        for (const [key, value] of entries) yield { key: Buffer.from(key, 'hex'), value };
      }.bind(this),
    };
    const state = this.#stored === null ? 'empty' : 'stored';
    return this.#query.openSection({ state, watermarks: this.#watermarks.copy() }, reader);
  }

  async #publish({ records, late, deadLetters }: Computed): Promise<void> {
    const scored = await this.#query.score(records);
    const { messages, deadLetters: unwritten } = this.#query.encode(scored.records);
    const routed = late === null || late.rowCount === 0 ? [] : (this.#query.encodeLate?.(late).messages ?? []);
    for (const output of [...messages, ...routed]) this.#log.append(output);
    const letters = [...deadLetters, ...scored.deadLetters, ...unwritten];
    this.deadLetters.push(...letters);
    if (letters.length > 0) this.#log.append(this.#query.encodeDeadLetters(letters));
  }

  async #compute(from: number, to: number, use: Use): Promise<void> {
    const { decoder, watermark } = this.#query;
    assert(decoder !== null, 'tasks read messages');
    const messages = this.#log.batch(this.#topic, this.#partition, from, to);
    await decoder.prepare(messages);
    for (const { records, deadLetters, messages: own } of decodeParts(decoder, messages)) {
      stampWatermarks(records, own, this.#watermarks, watermark);
      const result = await lastValueFrom(of(records).pipe(runSection(this.#section)));
      await use({ records: result.records, late: result.absorbed?.late ?? null, deadLetters });
    }
  }
}
