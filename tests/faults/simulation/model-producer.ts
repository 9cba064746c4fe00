import { messageValue, type MessageBatch } from '../../../engine/record/message-batch.ts';
import { ProducerFailure, type PositionToCommit, type TaskProducer } from '../../../engine/sink/kafka/task-producer.ts';
import { Fenced, InvalidState, type BrokerModel, type Transaction } from './broker-model.ts';
import type { CallKind } from './fate.ts';
import type { Process, World } from './world.ts';

/** A producer of the task over the broker's model, in the life of one process. */
export class ModelProducer implements TaskProducer {
  readonly #world: World;
  readonly #process: Process;
  readonly #broker: BrokerModel;
  readonly #transactionalId: string;
  #epoch = -1;
  #transaction: Transaction | null = null;

  constructor(world: World, process: Process, broker: BrokerModel, transactionalId: string) {
    this.#world = world;
    this.#process = process;
    this.#broker = broker;
    this.#transactionalId = transactionalId;
  }

  async init(): Promise<void> {
    const init = (): number => this.#broker.init(this.#transactionalId);
    this.#epoch = await this.#call('init', init, () => void init());
  }

  async begin(): Promise<void> {
    await this.#call('begin', () => {
      this.#transaction = null;
    });
  }

  async send(messages: MessageBatch): Promise<void> {
    // The bytes are the sender's only until this returns.
    const values = Array.from({ length: messages.messageCount }, (_, i) =>
      Buffer.from(messageValue(messages, i)).toString(),
    );
    await this.#inTransaction('send', (transaction) =>
      values.forEach((value, i) =>
        this.#broker.append(transaction, `${messages.topic}-${messages.partitions[i] ?? 0}`, value),
      ),
    );
  }

  async sendPosition(position: PositionToCommit): Promise<void> {
    await this.#inTransaction('send position', (transaction) => this.#broker.setPosition(transaction, position));
  }

  async commit(): Promise<void> {
    const transaction = this.#transaction;
    if (transaction === null) throw new InvalidState('nothing was begun');
    const marking = this.#world.plan.random.oneIn(3) ? 'later' : 'at once';
    await this.#call(
      'commit',
      () => this.#broker.commit(transaction, marking),
      () => this.#unheard(() => this.#broker.commit(transaction, marking)),
    );
  }

  async abort(): Promise<void> {
    const transaction = this.#transaction;
    const abort = (): void => {
      if (transaction !== null) this.#broker.abort(transaction);
    };
    await this.#call('abort', abort, () => this.#unheard(abort));
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #inTransaction(kind: CallKind, apply: (transaction: Transaction) => void): Promise<void> {
    const known = this.#transaction;
    return this.#call(
      kind,
      () => {
        const transaction = this.#broker.transactionOf(this.#transactionalId, this.#epoch);
        this.#transaction = transaction;
        apply(transaction);
      },
      () => {
        if (known?.status === 'open') apply(known);
      },
    );
  }

  /** Nobody hears what the broker says to a request that came late. */
  #unheard(apply: () => void): void {
    try {
      apply();
    } catch (error) {
      if (!(error instanceof Fenced || error instanceof InvalidState)) throw error;
    }
  }

  async #call<T>(kind: CallKind, apply: () => T, late?: () => void): Promise<T> {
    try {
      return await this.#world.call(this.#process, {
        kind,
        apply,
        ...(late === undefined ? {} : { late }),
        failure: ({ fault }) => new ProducerFailure(fault, `${kind} was not answered`, { retryable: 'transient' }),
      });
    } catch (error) {
      if (error instanceof Fenced) throw new ProducerFailure('fenced', error.message, { cause: error });
      if (error instanceof InvalidState) {
        throw new ProducerFailure('broken', error.message, { retryable: 'transient', cause: error });
      }
      throw error;
    }
  }
}
