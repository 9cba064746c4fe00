import { SluiceError, type SluiceErrorOptions } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

/**
 * What a failed call means for the transaction it was made in.
 *
 * - `resume`: the same call may be made again, and goes on where it stopped. After `commit` that is the ambiguous case: the transaction may be
 *   committed or not.
 * - `abort`: nothing of the transaction will ever be seen; a new producer's `init` settles it.
 * - `fenced`: another producer of this task has been opened since; this one's transaction is settled, one way or the other.
 * - `broken`: this producer can do nothing more; what became of its transaction, a new one finds out.
 */
export type ProducerFault = 'resume' | 'abort' | 'fenced' | 'broken';

/** A call of a {@link TaskProducer} that failed. */
export class ProducerFailure extends SluiceError {
  readonly fault: ProducerFault;

  constructor(fault: ProducerFault, message: string, options: SluiceErrorOptions, code: string = 'TRANSACTION_FAILED') {
    super(code, message, options);
    this.fault = fault;
  }
}

/** The input position that a transaction commits, for the next owner of the task. */
export interface PositionToCommit {
  readonly offset: number;
  readonly metadata: string;
}

/**
 * How one task publishes: messages and its input position in one transaction of the log (exactly-once, "A batch", step 2). Its commit log
 * calls `init()` once, then for each batch `begin`, `send` for each output topic, `sendPosition`, `commit`; one call at a time. Every
 * rejection is a {@link ProducerFailure}, whose fault says what may be called next: the same again after `resume`, only disposal after the others.
 */
export interface TaskProducer extends AsyncDisposable {
  /** Fences every producer of this task that was opened before, and settles the transaction that it left open. */
  init(): Promise<void>;
  /** Opens a transaction. Nothing is sent yet. */
  begin(): Promise<void>;
  /** Takes the messages; whether they arrived is known by `commit`. */
  send(messages: MessageBatch): Promise<void>;
  /** Adds the position of the task to the open transaction. */
  sendPosition(position: PositionToCommit): Promise<void>;
  /** Resolves when all of the transaction is visible to committed readers. */
  commit(): Promise<void>;
}
