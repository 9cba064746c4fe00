import { strict as assert } from 'node:assert';
import { SluiceError, messageOf } from '../../error.ts';
import type { OffsetRange } from '../../execution/commit-log.ts';
import type { FollowerPosition, FollowerPositions } from '../../execution/follower.ts';
import { ProducerFailure, type PositionToCommit, type TaskProducer } from '../../sink/kafka/task-producer.ts';
import type { CommittedPosition } from './consumer-group.ts';

/** Which position is kept, and how. It owns the producer that it opens. */
export interface KafkaPositionsOptions {
  readonly topic: string;
  /** The one partition that this follower follows. */
  readonly partition: number;
  /** For errors; the same for every owner: the consumer group's name. */
  readonly groupId: string;
  /** A new producer under the transactional id that every follower of this partition in this group has, connected, before `init`. */
  openProducer(): Promise<TaskProducer>;
  /** The committed position of the partition in the group, as stable offsets. */
  committed(): Promise<CommittedPosition | null>;
  /** Aborted once the partition may be another worker's: nothing is stored after that. */
  readonly lost: AbortSignal;
}

/** What stands in the metadata of the group's offset: the chunk that the follower is about to write, as `[from, to)`. */
interface StoredPlan {
  readonly v: number;
  readonly chunk: readonly [from: number, to: number] | null;
}

const version = 1;

/**
 * A follower's position in one partition of a Kafka topic: the offset of a consumer group, and in its metadata the chunk under way
 * (exactly-once, "The ClickHouse sink"). Each partition has a follower, and a position, of its own: a chunk spans no partitions, so it
 * is cut the same way whichever worker repeats it.
 *
 * Both are committed by a transaction that carries nothing else. What a plain commit of offsets is refused for, a member that the group has dropped,
 * fences only once the group has noticed; the next follower's `init` fences this one at once (KIP-98), and settles what it left open.
 *
 * An offset that a person has set (`kafka-consumer-groups --reset-offsets`) has no metadata, and is where the follower goes on.
 */
export class KafkaPositions implements FollowerPositions {
  readonly #options: KafkaPositionsOptions;
  #producer: TaskProducer | null = null;

  constructor(options: KafkaPositionsOptions) {
    this.#options = options;
  }

  /** @throws {SluiceError} `FOLLOWER_PLAN_UNREADABLE`, `TASK_FENCED`; `KAFKA_UNAVAILABLE`, `TRANSACTION_FAILED` (transient) */
  async load(): Promise<FollowerPosition> {
    const { partition } = this.#options;
    await this.#dropProducer();
    const producer = await this.#options.openProducer();
    this.#producer = producer;
    await this.#through(() => producer.init());
    const position = await this.#options.committed();
    if (position === null) return { offsets: [], chunk: null };
    const chunk = position.metadata === '' ? null : this.#readPlan(position.metadata);
    return { offsets: [{ partition, offset: position.offset }], chunk: chunk === null ? null : [chunk] };
  }

  /**
   * A store whose fate is not known rejects, as one that failed does: the follower is then begun anew, and `load` says where it stands.
   *
   * @throws {SluiceError} `TASK_FENCED`; `TRANSACTION_FAILED`, `KAFKA_UNAVAILABLE` (transient)
   */
  async store({ offsets, chunk }: FollowerPosition): Promise<void> {
    const producer = this.#producer;
    assert(producer !== null, 'a position is loaded before it is stored, and anew after a failure');
    const position = this.#positionToCommit(offsets, chunk);
    await this.#through(async () => {
      this.#checkNotLost();
      await producer.begin();
      await producer.sendPosition(position);
      this.#checkNotLost();
      await producer.commit();
    });
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#dropProducer();
  }

  #positionToCommit(offsets: FollowerPosition['offsets'], chunk: FollowerPosition['chunk']): PositionToCommit {
    const { partition } = this.#options;
    const [own] = offsets;
    const [planned] = chunk ?? [];
    assert(
      offsets.length === 1 && own?.partition === partition,
      'a follower in Kafka has the position of one partition',
    );
    assert(chunk === null || (chunk.length === 1 && planned?.partition === partition), 'a chunk spans no partitions');
    const plan: StoredPlan = { v: version, chunk: planned === undefined ? null : [planned.from, planned.to] };
    return { offset: own.offset, metadata: JSON.stringify(plan) };
  }

  /** A producer is never used again once a call of it failed, whatever the failure was (see `TaskCommitLog`). */
  async #through(calls: () => Promise<void>): Promise<void> {
    try {
      await calls();
    } catch (error) {
      await this.#dropProducer();
      throw error instanceof ProducerFailure && error.fault === 'fenced' ? this.#fenced(error) : error;
    }
  }

  async #dropProducer(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    await producer?.[Symbol.asyncDispose]();
  }

  #readPlan(text: string): OffsetRange | null {
    const { partition, topic, groupId } = this.#options;
    try {
      const { v, chunk } = JSON.parse(text) as Partial<StoredPlan>;
      if (v !== version || chunk === undefined) throw new RangeError(`version ${String(v)}`);
      return chunk === null ? null : { partition, from: chunk[0], to: chunk[1] };
    } catch (error) {
      throw new SluiceError(
        'FOLLOWER_PLAN_UNREADABLE',
        `what was committed beside the offset of ${topic}-${partition} in group ${groupId} must be a plan of Sluice, version ${version}; ` +
          `got ${messageOf(error)}. Give each sink a group of its own, and run no older version on it than the last one that ran`,
        { fields: { group: groupId, topic, partition }, cause: error },
      );
    }
  }

  #checkNotLost(): void {
    if (this.#options.lost.aborted) throw this.#fenced();
  }

  #fenced(cause?: unknown): SluiceError {
    const { groupId, topic, partition } = this.#options;
    return new SluiceError(
      'TASK_FENCED',
      `the follower of ${topic}-${partition} must be the only one in group ${groupId}; another one has taken over, and goes on from the last chunk`,
      { fields: { group: groupId, topic, partition }, cause },
    );
  }
}
