import { strict as assert } from 'node:assert';
import type { DeadLetter } from '../../record/dead-letter.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { selectRows } from '../../record/record-batch.ts';
import type { Schema } from '../../record/schema.ts';
import type { Decoded, Decoder } from '../../serde/decoder.ts';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source.ts';
import { concatRecords } from './concat-records.ts';
import { inputOfPartition } from './input-partition.ts';
import { liftRecords, type Lift } from './lift.ts';
import { selectMessages } from './select-messages.ts';

/** One of several inputs: what decodes its messages, and how its records become those of the common schema. */
export interface InputDecoding {
  /** `null` where the input gives records. */
  readonly decoder: Decoder | null;
  readonly lift: Lift;
}

/** What an {@link InputsReader} is made of. */
export interface InputsReaderOptions {
  /** In the numbering of `input-partition.ts`; disposed of with the reader. */
  readonly source: Source;
  readonly inputs: readonly InputDecoding[];
  /** What all inputs' records are given as. */
  readonly schema: Schema;
  /** Told how far in event time an input has come. */
  readonly onProgress?: (input: number, newestMs: number) => void;
}

/**
 * Reads several inputs as one stream of records of one schema: the source and the decoder of a query, in one, since the order of a batch is decided by what is in its
 * messages. The batch loop polls it and has it decode what it polled, each batch once.
 *
 * Messages of a partition that has not been heard from are put among the others by event time, in the same poll: until a partition is heard from it holds no watermark back, and
 * the others' whole batches would pass it by. The order is recorded with the commit, as every order is, and a replay follows it: it reads partition by partition, so nothing is moved then.
 */
export class InputsReader implements Source, Decoder {
  readonly name: string;
  readonly #options: InputsReaderOptions;
  readonly #heard = new Set<number>();
  readonly #decoded = new WeakMap<MessageBatch, Decoded>();
  /** What was polled and could not be decoded yet: the schema registry was away. */
  #undecoded: MessageBatch | null = null;

  constructor(options: InputsReaderOptions) {
    this.name = options.source.name;
    this.#options = options;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    return this.#options.source.ranges();
  }

  async seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#undecoded = null;
    await this.#options.source.seek(offsets);
  }

  async poll(bounds: PollBounds): Promise<Polled | null | 'end'> {
    const polled: Polled | null | 'end' =
      this.#undecoded === null
        ? await this.#options.source.poll(bounds)
        : { kind: 'messages', messages: this.#undecoded };
    if (polled === null || polled === 'end') return polled;
    if (polled.kind === 'records') return this.#lifted(polled);
    this.#undecoded = polled.messages;
    await this.#prepare(polled.messages);
    this.#undecoded = null;
    return { kind: 'messages', messages: this.#decode(polled.messages) };
  }

  prepare(): null {
    return null;
  }

  /** What a batch held that this reader has polled; see {@link Decoder.decode}. */
  decode(messages: MessageBatch): Decoded {
    const decoded = this.#decoded.get(messages);
    assert(decoded !== undefined, 'a batch is decoded by the reader that polled it, as it was polled');
    return decoded;
  }

  /** Closes the source. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#options.source[Symbol.asyncDispose]();
  }

  #lifted({ records, deadLetters }: Polled & { readonly kind: 'records' }): Polled {
    const partition = records.partitions[0] ?? deadLetters[0]?.partition ?? 0;
    const input = inputOfPartition(partition, this.#options.inputs.length);
    this.#heard.add(partition);
    this.#moved(input, records.eventTimesMs);
    return { kind: 'records', records: this.#lift(input, records), deadLetters };
  }

  async #prepare(messages: MessageBatch): Promise<void> {
    for (const { input, part } of this.#byInput(messages)) {
      const preparing = this.#decoderOf(input).prepare(part);
      if (preparing !== null) await preparing;
    }
  }

  /** Decodes a batch, remembers what was in it, and gives it as it is to be committed. */
  #decode(messages: MessageBatch): MessageBatch {
    const parts = this.#byInput(messages).map(({ input, part }) => {
      const { records, deadLetters } = this.#decoderOf(input).decode(part);
      this.#moved(input, records.eventTimesMs);
      return { records: this.#lift(input, records), deadLetters };
    });
    const [only] = parts;
    const isNew = this.#hear(messages);
    if (only !== undefined && parts.length === 1 && !isNew) {
      this.#decoded.set(messages, only);
      return messages;
    }
    const records = concatRecords(parts.map((part) => part.records));
    const deadLetters = parts.flatMap((part) => part.deadLetters);
    const ordered = isNew ? selectMessages(messages, byEventTime(messages, records)) : messages;
    this.#decoded.set(ordered, inOrderOf(ordered, { records, deadLetters }));
    return ordered;
  }

  /** Whether a partition is heard from for the first time, among others. */
  #hear({ partitions }: MessageBatch): boolean {
    const before = this.#heard.size;
    for (const partition of partitions) this.#heard.add(partition);
    return this.#heard.size > before && partitions.some((partition) => partition !== partitions[0]);
  }

  /** The batch's messages by input, those of each in their order. */
  #byInput(messages: MessageBatch): readonly { readonly input: number; readonly part: MessageBatch }[] {
    const { inputs } = this.#options;
    const indexes = new Map<number, number[]>();
    for (let index = 0; index < messages.messageCount; index++) {
      const input = inputOfPartition(messages.partitions[index] ?? 0, inputs.length);
      const own = indexes.get(input);
      if (own === undefined) indexes.set(input, [index]);
      else own.push(index);
    }
    if (indexes.size === 1) return [...indexes.keys()].map((input) => ({ input, part: messages }));
    return [...indexes].map(([input, own]) => ({ input, part: selectMessages(messages, Int32Array.from(own)) }));
  }

  #decoderOf(input: number): Decoder {
    const decoder = this.#options.inputs[input]?.decoder ?? null;
    assert(decoder !== null, 'a source of messages needs a decoder');
    return decoder;
  }

  #lift(input: number, records: Decoded['records']): Decoded['records'] {
    return liftRecords(records, input, this.#options.inputs[input]?.lift ?? [], this.#options.schema);
  }

  #moved(input: number, eventTimesMs: Float64Array): void {
    let newestMs = -Infinity;
    for (const eventTimeMs of eventTimesMs) newestMs = Math.max(newestMs, eventTimeMs);
    if (newestMs > -Infinity) this.#options.onProgress?.(input, newestMs);
  }
}

/** The batch's messages by event time, each partition's in its own order. What could not be decoded goes with what comes behind it. */
function byEventTime(messages: MessageBatch, records: Decoded['records']): Int32Array {
  const times = new Map<string, number>();
  for (let row = 0; row < records.rowCount; row++) {
    times.set(nameOf(records.partitions[row], records.offsets[row]), records.eventTimesMs[row] ?? 0);
  }
  const queues = new Map<number, number[]>();
  messages.partitions.forEach((partition, index) => {
    const queue = queues.get(partition);
    if (queue === undefined) queues.set(partition, [index]);
    else queue.push(index);
  });
  const timeOf = (index: number): number =>
    times.get(nameOf(messages.partitions[index], messages.offsets[index])) ?? -Infinity;
  let heads = [...queues]
    .sort(([a], [b]) => a - b)
    .map(([, indexes]) => ({ indexes, at: 0, timeMs: timeOf(indexes[0] ?? 0) }));
  return messages.partitions.map(() => {
    const next = heads.reduce((least, head) => (head.timeMs < least.timeMs ? head : least));
    const index = next.indexes[next.at++] ?? 0;
    next.timeMs = timeOf(next.indexes[next.at] ?? 0);
    if (next.at === next.indexes.length) heads = heads.filter((head) => head !== next);
    return index;
  });
}

/** What was decoded in the order of the messages that it came from. */
function inOrderOf(messages: MessageBatch, { records, deadLetters }: Decoded): Decoded {
  const rows = new Map<string, number>();
  for (let row = 0; row < records.rowCount; row++) {
    rows.set(nameOf(records.partitions[row], records.offsets[row]), row);
  }
  const letters = new Map(deadLetters.map((letter) => [nameOf(letter.partition, letter.offset), letter]));
  const rowOrder: number[] = [];
  const letterOrder: DeadLetter[] = [];
  for (let index = 0; index < messages.messageCount; index++) {
    const name = nameOf(messages.partitions[index], messages.offsets[index]);
    const row = rows.get(name);
    const letter = letters.get(name);
    if (row !== undefined) rowOrder.push(row);
    else if (letter !== undefined) letterOrder.push(letter);
  }
  return { records: selectRows(records, Int32Array.from(rowOrder)), deadLetters: letterOrder };
}

function nameOf(partition: number | undefined, offset: number | undefined): string {
  return `${partition ?? 0}/${offset ?? 0}`;
}
