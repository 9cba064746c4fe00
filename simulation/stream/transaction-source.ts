import { numberColumn, gather, utf8Column, type ByteSlab, type Column } from '../../engine/record/column.ts';
import { recordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { PartitionOffset, PartitionRange, PollBounds, RecordsPolled, Source } from '../../engine/source/source.ts';
import { dayMs } from './day-shape.ts';
import { streamOptions, type StreamOptions } from './stream-options.ts';
import type { TransactionChunk } from './transaction-chunk.ts';
import { transactionStream } from './transaction-stream.ts';

/** The fields of a simulated transaction, the truth among them. */
export const transactionSchema: Schema = new Schema([
  { name: 'transaction_id', type: 'string', presence: 'required' },
  { name: 'event_time', type: 'timestamp', presence: 'required' },
  { name: 'card_id', type: 'string', presence: 'required' },
  { name: 'terminal_id', type: 'string', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
  { name: 'is_fraud', type: 'boolean', presence: 'optional' },
  { name: 'fraud_scenario', type: 'long', presence: 'optional' },
]);

const chunkRecords = 1_000;
const idPrefix = 'tx-';
const idDigits = 12;

/** How much of a stream a source gives. */
export interface SimulatedSourceOptions {
  readonly world: Partial<Omit<StreamOptions, 'malformedShare' | 'chunkRecords'>>;
  /** Whole days of arrivals, after which the source ends; `Infinity` for one that never does. */
  readonly days: number;
}

/**
 * A simulated stream as a bounded source of records, without the way over bytes: what models are trained on and benchmarks run over. One
 * partition; the offset is the record's number. `seek` makes the stream anew up to there, half a million records a second.
 */
export class SimulatedSource implements Source {
  readonly name = 'simulated transactions';
  readonly #options: SimulatedSourceOptions;
  readonly #endMs: number;
  #chunks: Iterator<TransactionChunk> | null = null;
  /** What is left of the latest chunk: rows `[from, rowCount)`. */
  #pending: { readonly chunk: TransactionChunk; readonly from: number; readonly rowCount: number } | null = null;
  #nextOffset = 0;
  #ended = false;

  /** @throws {SluiceError} `SIMULATION_OPTION_INVALID`. */
  constructor(options: SimulatedSourceOptions) {
    this.#options = options;
    this.#endMs = streamOptions(options.world).startMs + options.days * dayMs;
  }

  /** The end is not known before it is reached. */
  ranges(): Promise<readonly PartitionRange[]> {
    return Promise.resolve([{ partition: 0, startOffset: 0, endOffset: Number.MAX_SAFE_INTEGER }]);
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#chunks = null;
    this.#pending = null;
    this.#nextOffset = 0;
    this.#ended = false;
    const target = offsets[0]?.offset ?? 0;
    while (this.#nextOffset < target && !this.#ended) this.#take(target - this.#nextOffset);
    return Promise.resolve();
  }

  /** The next records; `end` once the days are over. */
  poll({ maxRecords }: PollBounds): Promise<RecordsPolled | 'end'> {
    const offset = this.#nextOffset;
    const part = this.#take(maxRecords);
    if (part === null) return Promise.resolve('end');
    const { chunk, from, to } = part;
    const eventTimesMs = chunk.eventTimeMs.slice(from, to);
    const records = recordBatch(transactionSchema, columnsOf(chunk, from, to, eventTimesMs), {
      partition: 0,
      offset,
      eventTimesMs,
    });
    return Promise.resolve({ kind: 'records', records, deadLetters: [] });
  }

  /** At most `limit` of the next rows, as a part of a chunk; `null` at the end. */
  #take(limit: number): { readonly chunk: TransactionChunk; readonly from: number; readonly to: number } | null {
    if (this.#pending === null && !this.#ended) {
      this.#chunks ??= transactionStream({ ...this.#options.world, chunkRecords });
      const chunk = this.#chunks.next().value as TransactionChunk;
      let rowCount = 0;
      while (rowCount < chunk.rowCount && (chunk.arrivalMs[rowCount] ?? Infinity) < this.#endMs) rowCount++;
      this.#ended = rowCount < chunk.rowCount;
      if (rowCount > 0) this.#pending = { chunk, from: 0, rowCount };
    }
    if (this.#pending === null) return null;
    const { chunk, from, rowCount } = this.#pending;
    const to = Math.min(from + limit, rowCount);
    this.#pending = to < rowCount ? { chunk, from: to, rowCount } : null;
    this.#nextOffset += to - from;
    return { chunk, from, to };
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

function columnsOf(chunk: TransactionChunk, from: number, to: number, eventTimesMs: Float64Array): readonly Column[] {
  const scenario = Float64Array.from(chunk.fraudScenario.subarray(from, to));
  return [
    transactionIds(chunk.sequence.subarray(from, to)),
    numberColumn(eventTimesMs),
    entityColumn(chunk.cardIds, chunk.card.subarray(from, to)),
    entityColumn(chunk.terminalIds, chunk.terminal.subarray(from, to)),
    numberColumn(chunk.amount.slice(from, to)),
    numberColumn(scenario.map((value) => (value === 0 ? 0 : 1))),
    numberColumn(scenario),
  ];
}

function entityColumn(ids: ByteSlab, indices: Uint32Array): Column {
  return gather(utf8Column(ids.data, ids.offsets), Int32Array.from(indices));
}

/** `tx-000000000042`, as the messages have it. */
function transactionIds(sequence: Float64Array): Column {
  const width = idPrefix.length + idDigits;
  const data = new Uint8Array(sequence.length * width);
  const offsets = Int32Array.from({ length: sequence.length + 1 }, (_, row) => row * width);
  sequence.forEach((number, row) => {
    for (let i = 0; i < idPrefix.length; i++) data[row * width + i] = idPrefix.charCodeAt(i);
    let rest = number;
    for (let digit = idDigits - 1; digit >= 0; digit--) {
      data[row * width + idPrefix.length + digit] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    }
  });
  return utf8Column(data, offsets);
}
