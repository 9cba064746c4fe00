import { strict as assert } from 'node:assert';
import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source.ts';
import { inputOfPartition, mergedPartition, partitionInInput } from './input-partition.ts';

/** How long each input is waited for in turn while none of them has anything. */
const turnMs = 2;

/**
 * Several sources as one, in one numbering of partitions (`input-partition.ts`). A poll gives records of one input: of the one that is furthest behind in event time, so far
 * as it has any (KIP-353 has Kafka Streams choose so), so that a backlog is read evenly, and what waits for its partners stays little. Whoever decodes the records says how far each input is.
 *
 * A message that comes while another input is waited for is seen within a few milliseconds.
 */
export class MergedSource implements Source {
  readonly name: string;
  readonly #inputs: readonly Source[];
  /** The newest event time of each input. */
  readonly #newestMs: number[];
  /** Inputs that `seek` named; others are not read. */
  #isRead: boolean[];
  #hasEnded: boolean[];

  readonly #readFirst: number;

  /**
   * @param inputs disposed of with this one.
   * @param readFirst so many inputs, from the first on, are read whenever they have something, however far they are: tables, which others are looked up in.
   */
  constructor(inputs: readonly Source[], readFirst = 0) {
    assert(inputs.length > 0, 'there must be something to read');
    this.name = inputs.map(({ name }) => name).join(', ');
    this.#inputs = inputs;
    this.#readFirst = readFirst;
    this.#newestMs = inputs.map(() => -Infinity);
    this.#isRead = inputs.map(() => false);
    this.#hasEnded = inputs.map(() => false);
  }

  /** Tells how far in event time an input has come. */
  advance(input: number, newestMs: number): void {
    this.#newestMs[input] = Math.max(this.#newestMs[input] ?? -Infinity, newestMs);
  }

  async ranges(): Promise<readonly PartitionRange[]> {
    const count = this.#inputs.length;
    const ranges = await Promise.all(this.#inputs.map((input) => input.ranges()));
    return ranges
      .flatMap((own, input) =>
        own.map((range) => ({ ...range, partition: mergedPartition(input, range.partition, count) })),
      )
      .sort((a, b) => a.partition - b.partition);
  }

  async seek(offsets: readonly PartitionOffset[]): Promise<void> {
    const count = this.#inputs.length;
    this.#isRead = this.#inputs.map((_, input) =>
      offsets.some(({ partition }) => inputOfPartition(partition, count) === input),
    );
    this.#hasEnded = this.#inputs.map(() => false);
    for (const [input, source] of this.#inputs.entries()) {
      const own = offsets.filter(({ partition }) => inputOfPartition(partition, count) === input);
      await source.seek(
        own.map(({ partition, offset }) => ({ partition: partitionInInput(partition, count), offset })),
      );
    }
  }

  async poll({ maxRecords, maxWaitMs, signal, paused }: PollBounds): Promise<Polled | null | 'end'> {
    for (let waitedMs = 0, turn = 0; ; turn++) {
      const readable = this.#inOrder();
      if (readable.length === 0) return 'end';
      // At first nobody is waited for: what is there comes at once.
      const waitMs = turn === 0 ? 0 : Math.min(turnMs, maxWaitMs - waitedMs);
      for (const input of readable) {
        if (signal?.aborted === true) return null;
        const bounds = {
          maxRecords,
          maxWaitMs: waitMs,
          ...(signal === undefined ? {} : { signal }),
          ...this.#pausedIn(input, paused),
        };
        const polled = await this.#inputs[input]?.poll(bounds);
        if (polled === 'end') this.#hasEnded[input] = true;
        else if (polled !== null && polled !== undefined) return numbered(polled, input, this.#inputs.length);
        waitedMs += waitMs;
      }
      if (waitedMs >= maxWaitMs) return null;
    }
  }

  /** Closes every input. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const input of this.#inputs) await input[Symbol.asyncDispose]();
  }

  /** Which of an input's own partitions are paused. */
  #pausedIn(input: number, paused: PollBounds['paused']): Pick<PollBounds, 'paused'> {
    const count = this.#inputs.length;
    const own = [...(paused ?? [])].filter((partition) => inputOfPartition(partition, count) === input);
    return own.length === 0 ? {} : { paused: new Set(own.map((partition) => partitionInInput(partition, count))) };
  }

  /** The inputs that may have something, the one furthest behind first. */
  #inOrder(): readonly number[] {
    const newestOf = (input: number): number =>
      input < this.#readFirst ? -Infinity : (this.#newestMs[input] ?? -Infinity);
    return this.#inputs
      .map((_, input) => input)
      .filter((input) => this.#isRead[input] === true && this.#hasEnded[input] !== true)
      .sort((a, b) => (newestOf(a) < newestOf(b) ? -1 : newestOf(a) > newestOf(b) ? 1 : a - b));
  }
}

/** What an input gave, its partitions under their numbers among all inputs'. */
function numbered(polled: Polled, input: number, inputCount: number): Polled {
  const number = (partitions: Int32Array): Int32Array =>
    partitions.map((partition) => mergedPartition(input, partition, inputCount));
  if (polled.kind === 'messages') {
    const { messages } = polled;
    return { kind: 'messages', messages: { ...messages, partitions: number(messages.partitions) } };
  }
  const { records, deadLetters } = polled;
  return {
    kind: 'records',
    records: { ...records, partitions: number(records.partitions) },
    deadLetters: deadLetters.map((letter) => ({
      ...letter,
      partition: mergedPartition(input, letter.partition, inputCount),
    })),
  };
}
