import type { PartitionOffset, PartitionRange, PollBounds, Polled, Source } from './source.ts';

/**
 * A topic up to where it ends now, as a bounded source: for whoever works off what is there and then stops. It may give a few records beyond the end, when
 * they came in the same poll.
 *
 * @param source the topic's; disposed of with this one.
 */
export async function boundToNow(source: Source): Promise<Source> {
  const ends = new Map((await source.ranges()).map(({ partition, endOffset }) => [partition, endOffset]));
  return new BoundedSource(source, ends);
}

class BoundedSource implements Source {
  readonly name: string;
  readonly #source: Source;
  readonly #ends: ReadonlyMap<number, number>;
  readonly #next = new Map<number, number>();

  constructor(source: Source, ends: ReadonlyMap<number, number>) {
    this.name = source.name;
    this.#source = source;
    this.#ends = ends;
  }

  ranges(): Promise<readonly PartitionRange[]> {
    return this.#source.ranges();
  }

  async seek(offsets: readonly PartitionOffset[]): Promise<void> {
    this.#next.clear();
    for (const { partition, offset } of offsets) this.#next.set(partition, offset);
    await this.#source.seek(offsets);
  }

  async poll(bounds: PollBounds): Promise<Polled | null | 'end'> {
    if ([...this.#next].every(([partition, offset]) => offset >= (this.#ends.get(partition) ?? 0))) return 'end';
    const polled = await this.#source.poll(bounds);
    if (polled === null || polled === 'end' || polled.kind === 'records') return polled;
    const { partitions, offsets, messageCount } = polled.messages;
    for (let i = 0; i < messageCount; i++) this.#next.set(partitions[i] ?? 0, (offsets[i] ?? 0) + 1);
    return polled;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source[Symbol.asyncDispose]();
  }
}
