import { strict as assert } from 'node:assert';
import { SluiceError, messageOf } from '../error.ts';
import { StreamingQuery } from '../execution/streaming-query.ts';
import { addLedgers, emptyLedger, type LedgerCounts } from '../observability/ledger.ts';
import { systemClock } from '../time/clock.ts';
import type { AddOptions, Deed, QueryView } from './action.ts';
import type { Row } from './compare-rows.ts';
import { Heartbeats } from './heartbeats.ts';
import type { MemoryBroker } from './memory-broker.ts';
import { appendRows, brokerFor, heartbeatRow, newestEventTimeOf, type QueryUnderTest } from './query-under-test.ts';
import { TestProcess } from './test-process.ts';
import { VirtualClock } from './virtual-clock.ts';

/** How long, by the machine's clock, a query may take to work off what a test gave it before it counts as stuck. */
const settleWithinMs = 30_000;

/** A query that runs, or has run: one life of its process. */
interface Life {
  readonly process: TestProcess;
  readonly query: StreamingQuery;
  readonly stop: AbortController;
  readonly ended: Promise<void>;
  state: 'running' | 'ended';
  /** What it ended with; `null` for one that was stopped. */
  error: unknown;
}

/** What a query did in a test, over all its lives. */
export interface QueryStory {
  readonly broker: MemoryBroker;
  readonly query: QueryUnderTest;
  readonly clock: VirtualClock;
  /** `running`, or how it ended. */
  readonly life: 'running' | 'stopped' | { readonly error: unknown };
  readonly view: QueryView;
}

/**
 * Runs one query over an in-memory broker, on a virtual clock, step by step: what `testQuery` and test files are made of. The real batch loop runs, with the real recovery
 * and the query's own operators; what is not real is the log, the store and time.
 *
 * Call `perform` for the actions that do something, look at `story`, and dispose of it at the end.
 */
export class QueryDriver implements AsyncDisposable {
  readonly #broker: MemoryBroker;
  readonly #clock = new VirtualClock(0);
  readonly #heartbeats = new Heartbeats();
  #query: QueryUnderTest;
  #life: Life | null = null;
  #ledger: LedgerCounts = emptyLedger;
  #batches = 0;
  #replayedBefore = 0;
  #hasClockStarted = false;

  constructor(query: QueryUnderTest) {
    this.#query = query;
    this.#broker = brokerFor(query);
  }

  /** Everything that can be seen of the test so far. */
  get story(): QueryStory {
    const life = this.#life;
    const ended = life?.error === null || life === null ? 'stopped' : { error: life.error };
    return {
      broker: this.#broker,
      query: this.#query,
      clock: this.#clock,
      life: life?.state === 'running' ? 'running' : ended,
      view: this.#view(),
    };
  }

  /**
   * Carries out an action that does something; those that check are the caller's.
   *
   * @throws {SluiceError} `TEST_STUCK` when the query does not get through its input; `TEST_ACTION` for an action that cannot be taken now.
   * @throws what the query ended with while it worked off the action, unless that was a crash that the test asked for: `takeError` gives it once.
   */
  async perform(action: Deed): Promise<void> {
    switch (action.kind) {
      case 'addData':
        this.#add(action.rows, action.options);
        break;
      case 'advanceClock':
        this.#clock.advance(action.durationMs);
        break;
      case 'advanceWatermark':
        this.#advanceWatermark(action.toMs, action.partition);
        break;
      case 'crash':
        await this.#crash();
        return;
      case 'crashAt':
        this.#running('crashAt').process.strikeNext(action.step, action.when);
        return;
      case 'stop':
        await this.#stop();
        return;
      case 'restart':
        if (this.#life?.state === 'running')
          throw refused('restart', 'the query must have ended; it is running: crash() or stop() it first');
        this.#query = action.as ?? this.#query;
        this.start();
        break;
    }
    await this.settle();
  }

  /** Starts the query where it is not running. */
  start(): void {
    const process = new TestProcess();
    const bounds = this.#query.bounds;
    const parts = {
      source: process.source(this.#broker.source(this.#query.input.topic)),
      commitLog: process.commitLog(this.#broker),
      bounds,
    };
    const { query: definition, takeCount } = this.#heartbeats.without(process.query(this.#query.open(parts)));
    const query = new StreamingQuery(definition, this.#clock, () => undefined);
    query.committed.subscribe(({ ledger }) => {
      const beats = takeCount();
      this.#ledger = addLedgers(this.#ledger, {
        ...ledger,
        read: ledger.read - beats,
        filtered: ledger.filtered - beats,
      });
      this.#batches++;
    });
    this.#replayedBefore += this.#life?.query.totals.replayedRecords ?? 0;
    const stop = new AbortController();
    const life: Life = {
      process,
      query,
      stop,
      state: 'running',
      error: null,
      ended: query.run('realtime', stop.signal).then(
        () => {
          life.state = 'ended';
        },
        (error: unknown) => {
          life.error = error;
          life.state = 'ended';
        },
      ),
    };
    this.#life = life;
  }

  /** Waits until a running query has committed all that was given to it, or has ended. */
  async settle(): Promise<void> {
    const life = this.#life;
    if (life === null) return;
    const startedMs = systemClock.monotonicMs();
    // A few turns more than it takes, so that what follows a commit, or comes of the clock alone, has happened, too.
    for (let quiet = 0; quiet < 4 && life.state === 'running';) {
      await new Promise((resolve) => setImmediate(resolve));
      quiet = this.#isWorkedOff() ? quiet + 1 : 0;
      if (systemClock.monotonicMs() - startedMs > settleWithinMs) {
        const asleep = this.#clock.sleeperCount > 0 ? '; it waits for the clock: advanceClock()' : '';
        throw new SluiceError(
          'TEST_STUCK',
          `query ${this.#query.name} must work off its input within ${settleWithinMs} ms of real time; it has not${asleep}`,
        );
      }
    }
  }

  /** The error that the query ended with since this was last asked, `null` for none; a crash that the test asked for is none. */
  takeError(): unknown {
    const life = this.#life;
    if (life === null || life.process.isDead || life.state === 'running') return null;
    const { error } = life;
    return error;
  }

  /** Kills the query if it still runs; resolves once it has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#crash();
  }

  #view(): QueryView {
    const { outputs } = this.#query;
    return {
      rows: (topic = outputs[0]?.topic ?? '') => this.#broker.readInOrder(topic).map(({ value }) => rowOf(value)),
      ledger: this.#ledger,
      watermarksMs: new Map(
        (this.#broker.lastMetadata()?.watermarksMs ?? []).map(({ partition, watermarkMs }) => [partition, watermarkMs]),
      ),
      storedKeys: new Map(this.#broker.operatorIds().map((id) => [id, this.#broker.stateOf(id).length])),
      replayedRecords: this.#replayedBefore + (this.#life?.query.totals.replayedRecords ?? 0),
      batches: this.#batches,
      nowMs: this.#clock.nowMs(),
    };
  }

  #isWorkedOff(): boolean {
    const committed = new Map(this.#broker.committedOffsets().map(({ partition, offset }) => [partition, offset]));
    return this.#broker
      .read(this.#query.input.topic)
      .every((messages, partition) => (committed.get(partition) ?? 0) >= messages.length);
  }

  #add(rows: readonly (Row | string)[], { partition, appendedAtMs }: AddOptions): void {
    const { input } = this.#query;
    const partitions = input.partitions / (input.inputs?.length ?? 1);
    if (partition !== undefined && (partition < 0 || partition >= partitions)) {
      throw refused(
        'addData',
        `the partition must be one of the ${partitions} of topic ${input.topic}; got ${partition}`,
      );
    }
    if (appendedAtMs === undefined) this.#moveClockTo(newestEventTimeOf(input, rows));
    appendRows(this.#broker, input, rows, { timestampMs: appendedAtMs ?? this.#clock.nowMs(), partition });
  }

  #advanceWatermark(toMs: number, only: number | null): void {
    const { input } = this.#query;
    const inputCount = input.inputs?.length ?? 1;
    this.#moveClockTo(toMs + Math.max(...(input.inputs ?? [input]).map(({ delayMs }) => delayMs)));
    for (let partition = 0; partition < input.partitions; partition++) {
      if (only !== null && partition !== only) continue;
      const offset = this.#broker.read(input.topic)[partition]?.length ?? 0;
      this.#heartbeats.add(partition, offset);
      const beat = heartbeatRow(input, partition, toMs);
      const own = Math.floor(partition / inputCount);
      appendRows(this.#broker, input, [beat], { timestampMs: this.#clock.nowMs(), partition: own });
    }
  }

  /** The clock starts where the data do, and never goes back. No time passes by it: nothing is flushed for it, and no partition becomes idle. */
  #moveClockTo(instantMs: number): void {
    if (!Number.isFinite(instantMs)) return;
    if (!this.#hasClockStarted || instantMs > this.#clock.nowMs()) this.#clock.setTo(instantMs);
    this.#hasClockStarted = true;
  }

  async #crash(): Promise<void> {
    const life = this.#life;
    if (life === null || life.state === 'ended') return;
    life.process.kill();
    life.stop.abort();
    await life.ended;
  }

  async #stop(): Promise<void> {
    const life = this.#running('stop');
    life.stop.abort();
    await life.ended;
  }

  #running(action: string): Life {
    const life = this.#life;
    if (life?.state !== 'running') throw refused(action, 'the query must be running; it has ended: restart() it first');
    return life;
  }
}

/** A message of an output topic as a row; one that is not a JSON object is given whole, as `{ value }`. */
export function rowOf(text: string): Row {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row;
  } catch (error) {
    assert(error instanceof SyntaxError, messageOf(error));
  }
  return { value: text };
}

function refused(action: string, why: string): SluiceError {
  return new SluiceError('TEST_ACTION', `${action} cannot be done now: ${why}`);
}
