import kafka from '@confluentinc/kafka-javascript';
import { systemClock } from '../../../engine/time/clock.ts';
import type { RandomSource } from '../simulation/random-source.ts';
import { asPromise } from './raw-kafka.ts';

/** What a run's input is like. */
export interface FeedShape {
  readonly topic: string;
  readonly partitions: number;
  readonly recordsPerSecond: number;
  /** One record in so many is malformed; one in so many is an earlier one sent again. */
  readonly poisonOneIn: number;
  readonly repeatOneIn: number;
}

/** Stands in each record beside the fields that the job reads, and must be found nowhere but in the input, and in the bytes of dead letters. */
export const secretNumber = '4000123412341234';

/** Half of the records are of few cards, half of many: what is stored wrongly of a card that seldom comes stays so until somebody looks. */
const [hotCards, coldCards] = [12, 400] as const;
const tickMs = 25;
const repeatWithin = 40;
const startMs = 1_700_000_000_000;

/**
 * Writes the input in transactions, one in eight of which it gives up, for as long as a run's faults go on. Whatever fails is not sent again:
 * the truth of a run is what its topic holds in the end.
 */
export class InputFeed {
  readonly #broker: string;
  readonly #shape: FeedShape;
  readonly #random: RandomSource;
  readonly #recent: string[][];
  readonly #timesMs: number[];
  #producer: kafka.Producer | null = null;
  #nextId = 0;
  #isEnding = false;
  #done: Promise<void> = Promise.resolve();

  constructor(broker: string, shape: FeedShape, random: RandomSource) {
    this.#broker = broker;
    this.#shape = shape;
    this.#random = random;
    this.#recent = Array.from({ length: shape.partitions }, () => []);
    this.#timesMs = Array.from({ length: shape.partitions }, () => startMs);
  }

  start(): void {
    this.#done = this.#run();
  }

  /** Ends it with a record in each partition that is committed for certain. */
  async end(): Promise<void> {
    if (this.#isEnding) return;
    this.#isEnding = true;
    await this.#done;
    while (
      !(await this.#send(() => Array.from({ length: this.#shape.partitions }, (_, p) => [p, this.#fresh(p)]), 'commit'))
    ) {
      await systemClock.sleep(200);
    }
    await this.#close();
  }

  async #run(): Promise<void> {
    const perTick = Math.max(1, Math.round((this.#shape.recordsPerSecond * tickMs) / 1_000));
    while (!this.#isEnding) {
      const tick = (): [number, string][] =>
        Array.from({ length: perTick }, () => {
          const partition = this.#random.below(this.#shape.partitions);
          return [partition, this.#next(partition)];
        });
      await this.#send(tick, this.#random.oneIn(8) ? 'abort' : 'commit');
      await systemClock.sleep(tickMs);
    }
  }

  #next(partition: number): string {
    const { poisonOneIn, repeatOneIn } = this.#shape;
    if (this.#random.oneIn(poisonOneIn)) return `{"id":"r${this.#nextId++}","number":"${secretNumber}", broken`;
    const recent = this.#recent[partition] ?? [];
    const repeated = recent[this.#random.below(Math.max(1, recent.length))];
    if (repeated !== undefined && this.#random.oneIn(repeatOneIn)) return repeated;
    return this.#fresh(partition);
  }

  #fresh(partition: number): string {
    const timeMs = (this.#timesMs[partition] ?? startMs) + this.#random.below(40);
    this.#timesMs[partition] = timeMs;
    const record = JSON.stringify({
      id: `r${this.#nextId++}`,
      card: `c${partition}-${this.#random.below(this.#random.oneIn(2) ? hotCards : coldCards)}`,
      time: timeMs - this.#random.below(1_000),
      amount: 1 + this.#random.below(500),
      number: secretNumber,
    });
    const recent = this.#recent[partition] ?? [];
    recent.push(record);
    if (recent.length > repeatWithin) recent.shift();
    return record;
  }

  /** @returns whether all of it is known to be there. */
  async #send(records: () => readonly (readonly [number, string])[], fate: 'commit' | 'abort'): Promise<boolean> {
    try {
      const producer = (this.#producer ??= await this.#open());
      await asPromise<void>((done) => producer.beginTransaction((error) => done(error, undefined)));
      for (const [partition, value] of records()) {
        producer.produce(this.#shape.topic, partition, Buffer.from(value), value.slice(0, 8));
      }
      await asPromise<void>((done) =>
        fate === 'commit'
          ? producer.commitTransaction(10_000, (error) => done(error, undefined))
          : producer.abortTransaction(10_000, (error) => done(error, undefined)),
      );
      return fate === 'commit';
    } catch {
      await this.#close();
      return false;
    }
  }

  async #open(): Promise<kafka.Producer> {
    const producer = new kafka.Producer({
      'bootstrap.servers': this.#broker,
      'transactional.id': `feed of ${this.#shape.topic}`,
      'retry.backoff.ms': 5,
      'reconnect.backoff.max.ms': 500,
    });
    await asPromise<kafka.Metadata>((done) => producer.connect({ timeout: 10_000 }, done));
    await asPromise<void>((done) => producer.initTransactions(20_000, (error) => done(error, undefined)));
    return producer;
  }

  async #close(): Promise<void> {
    const producer = this.#producer;
    this.#producer = null;
    if (producer !== null) await new Promise<void>((resolve) => producer.disconnect(0, () => resolve()));
  }
}
