import type { PartitionOffset, PollBounds, Polled, Source } from '../source/source.ts';
import type { Clock } from '../time/clock.ts';
import { splitByLag } from './split-by-lag.ts';

/** When a query reads, and how much of it at once (Spark's triggers and rate limits). It changes how a stream is cut into batches, and so no result. */
export interface Pace {
  /** A round of reading begins this often, at multiples of it, and takes what is there then; 0: as soon as the round before is done. */
  readonly everyMs: number;
  /** The most records of a round, of all partitions together; `null`: all that are there. */
  readonly maxOffsetsPerTrigger: number | null;
}

/**
 * Reads a source in rounds. At the beginning of a round it looks how far each partition goes, splits the limit among them by what each has left to read, and then
 * gives no more than that until the next round is due. Called by the batch loop in the place of the source's `poll`, once recovery is over: a replay is not paced.
 */
export class PacedReader {
  readonly #source: Source;
  readonly #pace: Pace;
  readonly #clock: Clock;
  readonly #positions: Map<number, number>;
  /** What is left of the round, by partition. */
  readonly #shares = new Map<number, number>();
  #nextRoundMs = -Infinity;

  /** @param positions where the source stands: the next offset of each partition. */
  constructor(source: Source, pace: Pace, clock: Clock, positions: ReadonlyMap<number, number>) {
    this.#source = source;
    this.#pace = pace;
    this.#clock = clock;
    this.#positions = new Map(positions);
  }

  /** As `Source.poll`; `null` also where the next round is not due within the wait. */
  async poll({ maxRecords, ...bounds }: PollBounds): Promise<Polled | null | 'end'> {
    const { maxWaitMs, signal, paused } = bounds;
    if (this.#shares.size === 0) {
      const waitMs = this.#nextRoundMs - this.#clock.monotonicMs();
      if (waitMs > 0) await this.#clock.sleep(Math.min(waitMs, maxWaitMs), signal);
      if (this.#clock.monotonicMs() < this.#nextRoundMs) return null;
      await this.#beginRound(paused);
      // Nothing is there: the source says whether it has ended, or waits for what comes.
      if (this.#shares.size === 0) return this.#take(await this.#source.poll({ maxRecords, ...bounds }));
    }
    const share = [...this.#shares].find(([open]) => paused?.has(open) !== true);
    if (share === undefined) {
      // What is left of the round is of partitions that wait for others: it is given up, and the next round is for those.
      this.#shares.clear();
      await this.#source.seek(this.#allPositions());
      return null;
    }
    const [partition, left] = share;
    const offset = this.#positions.get(partition) ?? 0;
    await this.#source.seek([{ partition, offset }]);
    const polled = await this.#source.poll({ maxRecords: Math.min(maxRecords, left), ...bounds });
    // A partition may hold fewer records than offsets: what is left of its share is then given up.
    if (polled === null || polled === 'end') this.#shares.delete(partition);
    this.#take(polled);
    if (this.#shares.size === 0) await this.#source.seek(this.#allPositions());
    return polled === 'end' ? null : polled;
  }

  async #beginRound(paused: PollBounds['paused']): Promise<void> {
    const { everyMs, maxOffsetsPerTrigger } = this.#pace;
    const ranges = await this.#source.ranges();
    const lags = ranges.flatMap(({ partition, endOffset }) => {
      if (paused?.has(partition) === true) return [];
      return [{ partition, records: Math.max(0, endOffset - (this.#positions.get(partition) ?? 0)) }];
    });
    for (const { partition, records } of splitByLag(lags, maxOffsetsPerTrigger ?? Infinity)) {
      this.#shares.set(partition, records);
    }
    if (everyMs > 0) this.#nextRoundMs = (Math.floor(this.#clock.monotonicMs() / everyMs) + 1) * everyMs;
  }

  /** Moves on past what was polled. */
  #take(polled: Polled | null | 'end'): Polled | null | 'end' {
    if (polled === null || polled === 'end') return polled;
    const move = (partition: number, offset: number): void => {
      const moved = offset + 1 - (this.#positions.get(partition) ?? 0);
      if (moved <= 0) return;
      this.#positions.set(partition, offset + 1);
      const left = (this.#shares.get(partition) ?? 0) - moved;
      if (left > 0) this.#shares.set(partition, left);
      else this.#shares.delete(partition);
    };
    const { partitions, offsets } = polled.kind === 'messages' ? polled.messages : polled.records;
    for (let i = 0; i < partitions.length; i++) move(partitions[i] ?? 0, offsets[i] ?? 0);
    if (polled.kind === 'records') for (const { partition, offset } of polled.deadLetters) move(partition, offset);
    return polled;
  }

  #allPositions(): readonly PartitionOffset[] {
    return [...this.#positions].map(([partition, offset]) => ({ partition, offset }));
  }
}
