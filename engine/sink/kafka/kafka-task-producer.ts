import kafka from '@confluentinc/kafka-javascript';
import type { ErrorFields } from '../../error.ts';
import { messageKey, messageValue, type MessageBatch } from '../../record/message-batch.ts';
import type { ConsumerGroup } from '../../source/kafka/consumer-group.ts';
import { CallsInFlight } from '../../source/kafka/calls-in-flight.ts';
import { codeOf, kafkaCall, kafkaCode, kafkaFailure } from '../../source/kafka/kafka-failure.ts';
import { clientProperties, defaultConnectTimeoutMs, type KafkaSettings } from '../../source/kafka/kafka-settings.ts';
import { ProducerFailure, type PositionToCommit, type ProducerFault, type TaskProducer } from './task-producer.ts';

/** Whose producer it is, and in whose name it commits positions. */
export interface KafkaTaskProducerOptions {
  readonly settings: KafkaSettings;
  /** The same for every owner of the task and for no other task: `app.job.topic-partition`. */
  readonly transactionalId: string;
  readonly group: ConsumerGroup;
  /** The input partition that the task owns. */
  readonly topic: string;
  readonly partition: number;
  /** A transaction whose producer was not heard of for so long is aborted by the broker, which lets readers pass; 60,000 where absent. */
  readonly transactionTimeoutMs?: number;
  /** How long one call may take before it fails as `resume`; 15,000 where absent. */
  readonly callTimeoutMs?: number;
  readonly compression?: 'none' | 'lz4' | 'zstd';
  /** How many messages the client holds at most; `send` waits for room. 1,000,000 where absent. */
  readonly maxQueuedMessages?: number;
}

const defaultCallTimeoutMs = 15_000;
const eventPollMs = 1_000;

/** What librdkafka says of an error besides its number. */
interface TransactionError {
  readonly isFatal?: boolean;
  readonly isRetriable?: boolean;
  readonly isTxnRequiresAbort?: boolean;
}

const fencedCodes = new Set<number>([kafkaCode.fenced, kafkaCode.producerFenced, kafkaCode.invalidProducerEpoch]);

/** librdkafka's verdict in our words (its guide to the transactional producer, "Error handling"). */
function faultOf(error: unknown): ProducerFault {
  const { isFatal, isRetriable, isTxnRequiresAbort } = error as TransactionError;
  if (isTxnRequiresAbort === true) return 'abort';
  if (fencedCodes.has(codeOf(error))) return 'fenced';
  if (isFatal === true) return 'broken';
  return isRetriable === true ? 'resume' : 'broken';
}

function reasonOf(error: unknown): string {
  const words =
    typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error);
  return `${words} (${codeOf(error)}, ${faultOf(error)})`;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Kafka's transactional producer, one for each task (KIP-98), which fences by the task and not only by the group's member (KIP-447). */
export class KafkaTaskProducer implements TaskProducer {
  readonly #options: KafkaTaskProducerOptions;
  readonly #producer: kafka.Producer;
  readonly #calls = new CallsInFlight();
  #isClosing = false;

  private constructor(options: KafkaTaskProducerOptions) {
    this.#options = options;
    this.#producer = new kafka.Producer({
      ...clientProperties(options.settings),
      'transactional.id': options.transactionalId,
      'transaction.timeout.ms': options.transactionTimeoutMs ?? 60_000,
      'compression.codec': options.compression ?? 'none',
      'queue.buffering.max.messages': options.maxQueuedMessages ?? 1_000_000,
      'queue.buffering.max.kbytes': 1_048_576,
      // The broker answers the first request of a transaction with "try again" until it has finished the one before, a few milliseconds
      // later. At the default pause of 100 ms, transactions that follow each other closely take 93 ms each instead of 4.
      'retry.backoff.ms': 2,
      'retry.backoff.max.ms': 100,
    });
  }

  /**
   * Connects.
   *
   * @throws {SluiceError} `KAFKA_REFUSED`; `KAFKA_UNAVAILABLE` (transient) when no broker answers.
   */
  static async open(options: KafkaTaskProducerOptions): Promise<KafkaTaskProducer> {
    const task = new KafkaTaskProducer(options);
    const timeout = options.settings.connectTimeoutMs ?? defaultConnectTimeoutMs;
    await kafkaCall<kafka.Metadata>((done) => task.#producer.connect({ topic: options.topic, timeout }, done)).catch(
      (error: unknown) => {
        throw kafkaFailure(`open the producer ${options.transactionalId}`, error, task.#fields);
      },
    );
    // Nobody asks for delivery reports; this keeps the client's other events from piling up. Not by its background thread, which makes the
    // flush in each commit wait in steps of 10 ms.
    task.#producer.setPollInterval(eventPollMs);
    return task;
  }

  async init(): Promise<void> {
    // Every producer of the task passes here, and the coordinator may still be busy with what the former one left: worth a longer wait.
    await this.#call('take over', (done) => this.#producer.initTransactions(2 * this.#timeoutMs, done));
  }

  /** Opens a transaction. */
  async begin(): Promise<void> {
    await this.#call('begin a transaction of', (done) => this.#producer.beginTransaction(done));
  }

  async send(messages: MessageBatch): Promise<void> {
    const { topic, messageCount, partitions, timestampsMs } = messages;
    this.#checkOpen(`send to topic ${topic} by`);
    for (let i = 0; i < messageCount; i++) {
      const key = messageKey(messages, i);
      const timestampMs = timestampsMs[i] ?? -1;
      const value = bufferOf(messageValue(messages, i));
      // The client copies the bytes before it returns.
      for (;;) {
        try {
          const partition = partitions[i] ?? 0;
          this.#producer.produce(
            topic,
            partition,
            value,
            key.length === 0 ? null : bufferOf(key),
            timestampMs < 0 ? null : timestampMs,
          );
          break;
        } catch (error) {
          if (codeOf(error) !== kafkaCode.queueFull) throw this.#failure(`send to topic ${topic} by`, error);
          await this.#call('flush', (done) => this.#producer.flush(this.#timeoutMs, done));
        }
      }
    }
  }

  /** Adds the position to the open transaction. */
  async sendPosition({ offset, metadata }: PositionToCommit): Promise<void> {
    const { topic, partition, group } = this.#options;
    const positions: kafka.TopicPartitionOffsetAndMetadata[] = [{ topic, partition, offset, metadata }];
    await group.asMember((member) =>
      this.#call('send the position by', (done) =>
        this.#producer.sendOffsetsToTransaction(positions, member, this.#timeoutMs, done),
      ),
    );
  }

  async commit(): Promise<void> {
    await this.#call('commit a transaction of', (done) => this.#producer.commitTransaction(this.#timeoutMs, done));
  }

  /** Gives the open transaction up. Whatever is asked of it from now on is refused. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    await this.#calls.drained();
    if (!this.#producer.isConnected()) return;
    // Its timer must not poll a client that another thread is freeing.
    this.#producer.setPollInterval(0);
    // Without a wait for what is queued: a transaction that was not committed by now is not to be.
    await new Promise<void>((resolve) => this.#producer.disconnect(0, () => resolve()));
  }

  get #timeoutMs(): number {
    return this.#options.callTimeoutMs ?? defaultCallTimeoutMs;
  }

  get #fields(): ErrorFields {
    const { transactionalId, topic, partition } = this.#options;
    return { transactionalId, topic, partition };
  }

  /**
   * A task that ends for another reason closes its producer between two calls of a commit. The client ends the process when a transaction's call
   * meets its own end, so the next of those calls must not reach it.
   */
  #checkOpen(action: string): void {
    if (!this.#isClosing) return;
    const { transactionalId } = this.#options;
    throw new ProducerFailure('broken', `could not ${action} the producer ${transactionalId}: it is being closed`, {
      retryable: 'transient',
      fields: this.#fields,
    });
  }

  async #call(action: string, call: (done: (error: unknown) => void) => unknown): Promise<void> {
    this.#checkOpen(action);
    try {
      await this.#calls.run(() => kafkaCall<void>((done) => call((error) => done(error, undefined))));
    } catch (error) {
      throw this.#failure(action, error);
    }
  }

  #failure(action: string, error: unknown): ProducerFailure {
    const fault = faultOf(error);
    const { code, message, retryable } = kafkaFailure(
      `${action} the producer ${this.#options.transactionalId}`,
      error,
      this.#fields,
    );
    const options = { fields: this.#fields, cause: error };
    // A topic or a partition that is not there, a user who may not: no other producer will fare better.
    if (retryable === 'permanent') return new ProducerFailure(fault, message, options, code);
    return new ProducerFailure(
      fault,
      `could not ${action} the producer ${this.#options.transactionalId}: ${reasonOf(error)}`,
      {
        retryable: fault === 'fenced' ? 'permanent' : 'transient',
        ...options,
      },
    );
  }
}
