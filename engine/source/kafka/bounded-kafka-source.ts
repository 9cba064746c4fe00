import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from '../source.ts';
import type { KafkaSource } from './kafka-source.ts';

/**
 * A topic up to where it ends now, for a task that works off what is there and then ends. Its end may be a control record of a transaction, which is never
 * seen, so what counts is the client's position and not the last record.
 *
 * @param source disposed of with this one.
 */
export async function boundKafkaSource(source: KafkaSource): Promise<Source> {
  const ends = new Map((await source.ranges()).map(({ partition, endOffset }) => [partition, endOffset]));
  return new BoundedKafkaSource(source, ends);
}

/** A topic up to an offset of each partition; what lies behind is not read, and may be. */
export class BoundedKafkaSource implements Source {
  readonly name: string;
  readonly #source: KafkaSource;
  readonly #ends: ReadonlyMap<number, number>;

  /** @param source disposed of with this one. */
  constructor(source: KafkaSource, ends: ReadonlyMap<number, number>) {
    this.name = source.name;
    this.#source = source;
    this.#ends = ends;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    return this.#source.ranges();
  }

  seek(offsets: readonly PartitionOffset[]): Promise<void> {
    return this.#source.seek(offsets);
  }

  async poll(bounds: PollBounds): Promise<Polled | null | 'end'> {
    const isAtEnd = this.#source
      .positions()
      .every(({ partition, offset }) => offset >= (this.#ends.get(partition) ?? 0));
    return isAtEnd ? 'end' : this.#source.poll(bounds);
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}
