import { strict as assert } from 'node:assert';
import kafka from '@confluentinc/kafka-javascript';
import type { SluiceError } from '../../error.ts';
import type { Clock } from '../../time/clock.ts';
import { CallsInFlight } from './calls-in-flight.ts';
import { connectConsumer } from './connect-consumer.ts';
import { codeOf, kafkaCall, kafkaCode, kafkaFailure } from './kafka-failure.ts';
import { clientProperties, type KafkaSettings } from './kafka-settings.ts';

/** Which group a worker joins, and what it may be given there. */
export interface ConsumerGroupOptions {
  readonly settings: KafkaSettings;
  readonly groupId: string;
  readonly topic: string;
  /** A name that outlives the process: a worker that comes back under it within the session timeout gets its partitions back without a rebalance. */
  readonly instanceId?: string;
  /** A worker that was not heard of for this long is held to be dead; 10,000 where absent. The broker sets bounds (6 s to 30 min by default). */
  readonly sessionTimeoutMs?: number;
  /** How long a worker may take to hand partitions over; 60,000 where absent. */
  readonly rebalanceTimeoutMs?: number;
}

/** Told by the group which partitions this worker has. Calls come one at a time; the next waits for the promise of the last. */
export interface GroupListener {
  /** They are this worker's from now on: start their tasks. */
  assigned(partitions: readonly number[]): void;
  /** They are to go to another worker: stop reading, finish or abort the batch in hand, and resolve once nothing more will be committed. */
  revoked(partitions: readonly number[]): Promise<void>;
  /** They may be another worker's already: nothing may be committed any more. */
  lost(partitions: readonly number[]): Promise<void>;
  /** The group cannot be served just now; it goes on trying. */
  trouble(error: SluiceError): void;
}

/** Where a task stands in its input, as it was committed. */
export interface CommittedPosition {
  readonly offset: number;
  /** What was committed beside it; empty where nothing was. */
  readonly metadata: string;
}

/** Methods that the client has, and its types leave out. */
interface CooperativeConsumer {
  incrementalAssign(partitions: readonly kafka.TopicPartitionOffset[]): void;
  incrementalUnassign(partitions: readonly kafka.TopicPartition[]): void;
  assignmentLost(): boolean;
}

const pollMs = 100;
const committedTimeoutMs = 15_000;
/** The broker is told of the leave before; what takes longer than this is the client's own end. */
const leaveTimeoutMs = 10_000;
/** librdkafka's word for "the end of the partition", where a partition that is never read may as well stand. */
const endOffset = -1;

/**
 * A worker's membership in a consumer group: who has which partition, and where each stands. It reads nothing: partitions are assigned *paused*
 * and stay so, since each task reads its own (`KafkaSource`) from where its commit log says. Partitions move one by one
 * (cooperative rebalancing, KIP-429), so a worker that comes or goes stops only the tasks that move.
 *
 * The group's member is what fences offsets: `KafkaTaskProducer` commits them as this member of this generation (KIP-447).
 */
export class ConsumerGroup {
  readonly #member: kafka.KafkaConsumer;
  readonly #calls = new CallsInFlight();
  readonly #options: ConsumerGroupOptions;
  readonly #listener: GroupListener;
  readonly #clock: Clock;
  #rebalancing: Promise<void> = Promise.resolve();
  #serving: Promise<void> = Promise.resolve();
  #isLeaving = false;
  #isDone = false;
  #told = (): void => undefined;
  /**
   * Resolves once the group has said for the first time which partitions are this worker's: none of them, maybe, or none yet. For whoever works off what is
   * there and then ends.
   */
  readonly assigned: Promise<void> = new Promise((resolve) => (this.#told = resolve));

  private constructor(options: ConsumerGroupOptions, listener: GroupListener, clock: Clock) {
    this.#options = options;
    this.#listener = listener;
    this.#clock = clock;
    this.#member = new kafka.KafkaConsumer(
      {
        ...clientProperties(options.settings),
        'group.id': options.groupId,
        ...(options.instanceId === undefined ? {} : { 'group.instance.id': options.instanceId }),
        'partition.assignment.strategy': 'cooperative-sticky',
        'session.timeout.ms': options.sessionTimeoutMs ?? 10_000,
        // A worker hears of a rebalance with a heartbeat's answer: the others wait for so long.
        'heartbeat.interval.ms': Math.min(1_000, Math.ceil((options.sessionTimeoutMs ?? 10_000) / 4)),
        'max.poll.interval.ms': options.rebalanceTimeoutMs ?? 60_000,
        'enable.auto.commit': false,
        'enable.auto.offset.store': false,
        // Also makes the broker hold back a position that is part of a transaction still open: what is read is stable.
        'isolation.level': 'read_committed',
        'queued.max.messages.kbytes': 1_024,
        rebalance_cb: (error: kafka.LibrdKafkaError, assignments: kafka.TopicPartition[]) =>
          this.#enqueue(codeOf(error), assignments),
      },
      { 'auto.offset.reset': 'error' },
    );
  }

  /**
   * Joins. The listener is told of partitions from then on.
   *
   * @throws {SluiceError} `KAFKA_REFUSED`; `KAFKA_UNAVAILABLE` (transient) when no broker answers.
   */
  static async join(options: ConsumerGroupOptions, listener: GroupListener, clock: Clock): Promise<ConsumerGroup> {
    const group = new ConsumerGroup(options, listener, clock);
    await connectConsumer(group.#member, options.topic, options.settings).catch((error: unknown) =>
      group.#fail('join', error),
    );
    group.#member.setDefaultConsumeTimeout(pollMs);
    group.#member.subscribe([options.topic]);
    group.#serving = group.#serve();
    return group;
  }

  /**
   * The committed position of a partition, none of it from a transaction that is still open; `null` where none was ever committed.
   *
   * @throws {SluiceError} `KAFKA_UNAVAILABLE` (transient), also while such a transaction is open: whoever takes a task over settles it first,
   * by `initTransactions`.
   */
  async committed(partition: number): Promise<CommittedPosition | null> {
    const { topic } = this.#options;
    const [position] = await this.asMember((member) =>
      kafkaCall<kafka.TopicPartitionOffsetAndMetadata[]>((done) =>
        member.committed([{ topic, partition }], committedTimeoutMs, done),
      ),
    ).catch((error: unknown) => this.#fail(`ask for the position of ${topic}-${partition} in`, error));
    // Where nothing was committed the client gives no offset, whatever its types say.
    const offset = position?.offset;
    return offset === undefined || offset < 0 ? null : { offset, metadata: position?.metadata ?? '' };
  }

  /**
   * Makes a call of the client that has this membership: for `KafkaTaskProducer`, which commits positions in its name. The group is not
   * left while the call is out.
   *
   * @throws {SluiceError} `KAFKA_UNAVAILABLE` once the group was left.
   */
  async asMember<T>(call: (member: kafka.KafkaConsumer) => Promise<T>): Promise<T> {
    if (!this.#member.isConnected()) throw kafkaFailure('act as a member of', new Error('it was left'), this.#fields);
    return this.#calls.run(() => call(this.#member));
  }

  /** Hands every partition over (the listener's `revoked`), leaves the group so that others need not wait, and disconnects. */
  async leave(): Promise<void> {
    if (this.#isLeaving) {
      await this.#serving;
      return;
    }
    this.#isLeaving = true;
    if (this.#member.isConnected()) this.#member.unsubscribe();
    await this.#serving;
    await this.#calls.drained();
    if (!this.#member.isConnected()) return;
    const waiting = new AbortController();
    const disconnected = kafkaCall<kafka.ClientMetrics>((done) => this.#member.disconnect(done));
    await Promise.race([disconnected, this.#clock.sleep(leaveTimeoutMs, waiting.signal)]);
    // A timer that is left behind would keep the process alive for as long as it runs.
    waiting.abort();
  }

  /** Rebalances happen, and are told of, only while the client is polled. */
  async #serve(): Promise<void> {
    for (;;) {
      try {
        // Nothing comes of it: every partition is paused.
        await kafkaCall<kafka.Message[]>((done) => this.#member.consume(1, done));
      } catch (error) {
        this.#listener.trouble(kafkaFailure(`serve group ${this.#options.groupId}`, error, this.#fields));
        await this.#clock.sleep(pollMs);
      }
      await this.#settle();
      if (this.#isDone) return;
    }
  }

  /** Whether, while leaving, the last partition has been handed over. A rebalance under way keeps the polling up. */
  async #settle(): Promise<void> {
    if (!this.#isLeaving) return;
    // What the last poll set off is told on another turn of the event loop, and must be answered before the client closes.
    await this.#clock.sleep(1);
    const isIdle = await Promise.race([this.#rebalancing.then(() => true), this.#clock.sleep(1).then(() => false)]);
    if (isIdle && this.#member.assignments().length === 0) this.#isDone = true;
  }

  #enqueue(code: number, assignments: readonly kafka.TopicPartition[]): void {
    // Must be asked now: the client forgets it once the partitions are gone.
    const isLost = code === kafkaCode.revokePartitions && this.#cooperative.assignmentLost();
    this.#rebalancing = this.#rebalancing
      .then(() => this.#rebalance(code, isLost, assignments))
      .catch((error: unknown) =>
        this.#listener.trouble(kafkaFailure(`rebalance group ${this.#options.groupId}`, error, this.#fields)),
      );
  }

  async #rebalance(code: number, isLost: boolean, assignments: readonly kafka.TopicPartition[]): Promise<void> {
    const partitions = assignments.map(({ partition }) => partition);
    if (code === kafkaCode.assignPartitions) {
      this.#cooperative.incrementalAssign(
        assignments.map(({ topic, partition }) => ({ topic, partition, offset: endOffset })),
      );
      this.#told();
      if (partitions.length === 0) return;
      this.#member.pause([...assignments]);
      this.#listener.assigned(partitions);
      return;
    }
    assert(code === kafkaCode.revokePartitions, `a rebalance assigns or revokes; got ${code}`);
    try {
      if (partitions.length > 0) {
        await (isLost ? this.#listener.lost(partitions) : this.#listener.revoked(partitions));
      }
    } finally {
      this.#cooperative.incrementalUnassign(assignments);
    }
  }

  get #cooperative(): CooperativeConsumer {
    return this.#member as unknown as CooperativeConsumer;
  }

  get #fields(): { readonly group: string; readonly topic: string } {
    return { group: this.#options.groupId, topic: this.#options.topic };
  }

  #fail(action: string, error: unknown): never {
    throw kafkaFailure(`${action} group ${this.#options.groupId}`, error, this.#fields);
  }
}
