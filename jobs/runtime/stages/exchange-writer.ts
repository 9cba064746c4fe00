import { ExchangeEncoder, type ExchangeEncoderOptions } from '../../../engine/exchange/exchange-encoder.ts';
import { ExchangeMarks, withoutMarks, type Renumbered } from '../../../engine/exchange/exchange-marks.ts';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import type { EncodeFailure } from '../../../engine/serde/encoder.ts';
import type { MessageBatch } from '../../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../../engine/record/record-batch.ts';
import { inputColumn } from '../../../operators/join/join-definition.ts';
import type { Exchange } from './stages.ts';

/** What a task has passed with a batch, and what else of it the marks behind it need. */
interface Told {
  readonly passedMs: number;
  readonly whole: RecordBatch;
}

/** What of a stage decides how it writes its records. */
export interface ExchangeWriterOptions extends Pick<ExchangeEncoderOptions, 'schema' | 'columns' | 'partitionCount'> {
  readonly writer: number | 'own';
  /** See `ExchangeMarksOptions`. */
  readonly eventTimeField: string;
  readonly delayMs: number | null;
  /** What a task has passed that reads an exchange, as of the end of the batch that was last through its operators, where that may move on without a record. */
  passedMs?(): number;
}

const asTheyAre: Renumbered = (batch) => batch;

/** What a batch becomes on its way to the next stage. */
export interface WrittenBatch {
  readonly messages: readonly MessageBatch[];
  readonly failures: readonly EncodeFailure[];
}

/** Writes what a stage hands on: its records, each to its key's partition or to all of them, and, where something waits behind the exchange, how far the stage has come. One for each acquisition of a task. */
export class ExchangeWriter {
  readonly #encoders: readonly ExchangeEncoder[];
  readonly #marks: ExchangeMarks | null;
  /** What the task had passed with a batch, marks among it that are not handed on. */
  readonly #told = new WeakMap<RecordBatch, Told>();
  /** A task that reads the job's input says itself that it is idle; one that reads an exchange is told so of others. */
  readonly #readsInput: boolean;
  readonly #passedMs: () => number;

  constructor({ topic, key, spread, waits }: Exchange, options: ExchangeWriterOptions) {
    const common = { ...options, topic, key };
    this.#readsInput = options.delayMs !== null;
    this.#passedMs = () => options.passedMs?.() ?? -Infinity;
    this.#encoders =
      spread === 'by key'
        ? [new ExchangeEncoder(common)]
        : Array.from(
            { length: options.partitionCount },
            (_, partition) => new ExchangeEncoder({ ...common, partition }),
          );
    const kept = [passengers.arrival, passengers.inputPartition, inputColumn];
    // Who writes to all partitions is heard in all of them.
    this.#marks = waits === 'nothing' || spread === 'everywhere' ? null : new ExchangeMarks({ ...common, kept });
  }

  /** In the place of a model: takes the marks out that the stage was given itself. Called with each batch as it leaves the operators, before the next one enters them. */
  score(whole: RecordBatch): ReturnType<QueryDefinition['score']> {
    const records = withoutMarks(whole);
    if (this.#marks !== null) {
      this.#told.set(records, { passedMs: Math.max(this.#marks.passedMs(whole), this.#passedMs()), whole });
    }
    return Promise.resolve({ records, deadLetters: [] });
  }

  /**
   * Writes a batch that {@link score} gave, and the marks behind it. Called once for each, in order.
   *
   * @param renumbered gives a batch the numbers that its partitions have for the next stage.
   */
  write(records: RecordBatch, renumbered: Renumbered = asTheyAre): WrittenBatch {
    const written = this.#encoders.map((encoder) => encoder.encode(renumbered(records)));
    const told = this.#told.get(records);
    const marks = this.#marks === null || told === undefined ? [] : this.#marksOf(this.#marks, told, renumbered);
    return {
      messages: [...written.map(({ messages }) => messages), ...marks],
      failures: written.flatMap(({ failures }) => failures),
    };
  }

  #marksOf(marks: ExchangeMarks, { passedMs, whole }: Told, renumbered: Renumbered): readonly MessageBatch[] {
    const { idle = [] } = whole;
    if (idle.length === 0 || !this.#readsInput) return marks.write(whole, passedMs, renumbered);
    return marks.idle(idle, renumbered);
  }
}
