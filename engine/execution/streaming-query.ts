import { strict as assert } from 'node:assert';
import { concatMap, lastValueFrom, map, Observable, of, Subject, type Subscriber } from 'rxjs';
import { addLedgers, emptyLedger, type LedgerCounts } from '../observability/ledger.ts';
import { LatencyHistogram } from '../observability/latency-histogram.ts';
import { recordLatency } from '../observability/record-latency.ts';
import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { COMPACTED, MARK, type RecordBatch } from '../record/record-batch.ts';
import type { Decoder } from '../serde/decoder.ts';
import type { PartitionOffset, PartitionRange, Polled } from '../source/source.ts';
import { nonePaused } from '../time/alignment.ts';
import type { Clock } from '../time/clock.ts';
import { stampWatermarks } from '../time/stamp-watermarks.ts';
import type { OffsetRange, StateFlush } from './commit-log.ts';
import { encodeFlight, type Encoded, type Settled } from './encode-flight.ts';
import type { Flight } from './flight.ts';
import { decodeParts } from './decode-parts.ts';
import { idleBatch, idleForOthers, idlePartitions } from './idle-batch.ts';
import { positionsOf, takeRanges } from './offset-ranges.ts';
import { PacedReader } from './paced-reader.ts';
import { PartitionWatch } from './partition-watch.ts';
import type { QueryDefinition } from './query-definition.ts';
import { recover, type Recovered } from './recover.ts';
import { countFlagged } from './count-flagged.ts';
import { retryTransient, type RetryListener } from './retry-transient.ts';
import { needsFlush, runSection, takeState, tellStored } from './section.ts';
import { waitingDecoder } from './waiting-decoder.ts';

/**
 * When a query ends by itself. `realtime`: never, batches start as soon as there is something. `availableNow`: once all that was there at its
 * start is committed (Spark's trigger of that name).
 */
export type Trigger = 'realtime' | 'availableNow';

/**
 * Time between two flushes of state, as a multiple of what the last one took: less than a hundredth of the time goes to them, so that they are not what
 * the 99th percentile of the latency shows.
 */
const flushPause = 150;

/** A committed batch, as listeners are told of it; `records` still has its columns. */
export interface CommittedBatch {
  readonly batchSequence: number;
  readonly ledger: LedgerCounts;
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** What a query has done since it started. */
export interface QueryTotals {
  readonly ledger: LedgerCounts;
  readonly batches: number;
  /** Records that were published: as many as were answered, or, where outputs are records of their own, a number of their own. */
  readonly outputs: number;
  /** What was said anew of records that were answered before; in no other count. */
  readonly amended: number;
  /** Records that were answered from panes that their key has been compacted to. */
  readonly compacted: number;
  /** Records that keys which held as many as the job allows have let go before their time, so that fewer decisions were watched. */
  readonly letGoEarly: number;
  readonly replayedRecords: number;
  /** Records whose event time was too far in the future to move the watermark. */
  readonly futureGuarded: number;
  /** Partitions that hold no watermark back now, having brought nothing for a while. */
  readonly idlePartitions: number;
  /** Partitions that are not read now, being further ahead than the job allows. */
  readonly pausedPartitions: number;
  /** From a record's broker timestamp to its prediction being readable. */
  readonly latency: LatencyHistogram;
}

/** Makes a call again for as long as waiting may mend what it fails with. */
type Retry = <T>(call: () => Promise<T>) => Promise<T>;

/** What a batch comes of: what was polled, or that partitions were found idle while nothing came. */
type Arrived = Polled | { readonly kind: 'idle'; readonly ranges: readonly OffsetRange[] };

/**
 * One running query: reads, computes, scores and commits batch after batch (exactly-once, "A batch"). Batches are pulled: the next is read when
 * fewer than `maxBatchesInFlight` are between the source and the commit, so memory is bounded however slow a dependency is, and the
 * operators work on one batch while the one before is scored and the one before that committed.
 *
 * Call `run()` once. Abort the signal to stop: batches already read are committed, then `run` resolves. It rejects with the first error that
 * waiting cannot mend; nothing after the last commit has happened then, and a new query takes up there.
 */
export class StreamingQuery {
  readonly #query: QueryDefinition;
  readonly #clock: Clock;
  readonly #onRetry: RetryListener;
  readonly #committed = new Subject<CommittedBatch>();
  #latency = new LatencyHistogram();
  #ledger: LedgerCounts = emptyLedger;
  #batches = 0;
  #outputs = 0;
  #amended = 0;
  #compacted = 0;
  #letGoEarly = 0;
  #nextBatchSequence = 0;
  #replayedRecords = 0;
  #futureGuarded = 0;
  #inFlight = 0;
  #wake: (() => void) | null = null;
  #watch: PartitionWatch | null = null;
  #lastFlushMs = -Infinity;
  #isFlushed = true;
  /** How long the last flush of state took, from taking it to its commit. */
  #flushCostMs = 0;

  constructor(query: QueryDefinition, clock: Clock, onRetry: RetryListener) {
    this.#query = query;
    this.#clock = clock;
    this.#onRetry = onRetry;
  }

  /** Every batch, right after its commit. Listeners are synchronous and quick: they run on the query's own thread. */
  get committed(): Observable<CommittedBatch> {
    return this.#committed.asObservable();
  }

  /** What has been done so far. */
  get totals(): QueryTotals {
    return {
      ledger: this.#ledger,
      batches: this.#batches,
      outputs: this.#outputs,
      amended: this.#amended,
      compacted: this.#compacted,
      letGoEarly: this.#letGoEarly,
      replayedRecords: this.#replayedRecords,
      futureGuarded: this.#futureGuarded,
      idlePartitions: this.#watch?.counts.idle ?? 0,
      pausedPartitions: this.#watch?.counts.paused ?? 0,
      latency: this.#latency,
    };
  }

  /** Forgets the latencies so far: for whoever measures a part of a run. */
  resetLatency(): void {
    this.#latency = new LatencyHistogram();
  }

  /** @throws {SluiceError} what `recover`, the source, the model or the commit log throw that waiting cannot mend. */
  async run(trigger: Trigger, signal: AbortSignal): Promise<void> {
    const { source, commitLog } = this.#query;
    try {
      const retry: Retry = (call) => retryTransient(call, this.#clock, signal, this.#onRetry);
      const acquired = await retry(() => commitLog.acquire());
      const decoder = this.#query.decoder === null ? null : waitingDecoder(this.#query.decoder, retry);
      const task = await recover({ ...this.#query, decoder }, acquired, signal);
      this.#replayedRecords = task.replayedRecords;
      this.#isFlushed = task.replayedRecords === 0;
      this.#nextBatchSequence = task.nextBatchSequence;
      this.#lastFlushMs = this.#clock.monotonicMs();
      await source.seek([...task.nextOffsets].map(([partition, offset]) => ({ partition, offset })));
      const ends = trigger === 'availableNow' ? await source.ranges() : null;
      this.#watch = await this.#watchPartitions(task, ends, retry);
      const flights = new Observable<Arrived>((subscriber) => {
        this.#pull(ends, task, signal, subscriber, retry).catch((error: unknown) => subscriber.error(error));
        return () => this.#wake?.();
      });
      const done = flights.pipe(
        concatMap((arrived) => this.#open(arrived, task, decoder)),
        concatMap((opened) => opened),
        concatMap((flight) => this.#operate(flight, task)),
        // Scoring starts here, as soon as the operators are done with the batch, and is awaited below, in order.
        map((flight) => ({
          flight,
          scoring: settled(this.#query.score(flight.records)),
          rescoring: this.#rescore(flight),
        })),
        concatMap(async ({ flight, scoring, rescoring }) => {
          return encodeFlight(this.#query, flight, await scoring, rescoring === null ? flight : await rescoring);
        }),
        concatMap((encoded) => this.#commit(encoded, task, retry)),
      );
      await lastValueFrom(done, { defaultValue: undefined });
      await this.#flush(task, retry);
    } finally {
      this.#committed.complete();
      await source[Symbol.asyncDispose]();
      await commitLog[Symbol.asyncDispose]();
    }
  }

  /**
   * Reads batch after batch while there is room in flight, until the signal or the trigger ends it. In between, when nothing comes and everything is committed,
   * the state is brought up to the commit: a topic that has gone quiet leaves nothing to replay, and nothing unwritten beside the state.
   */
  async #pull(
    ends: readonly PartitionRange[] | null,
    task: Recovered,
    signal: AbortSignal,
    to: Subscriber<Arrived>,
    retry: Retry,
  ): Promise<void> {
    const { source, bounds } = this.#query;
    const reader =
      bounds.pace === undefined ? source : new PacedReader(source, bounds.pace, this.#clock, task.nextOffsets);
    const isDone = (): boolean =>
      ends !== null && ends.every(({ partition, endOffset }) => (task.nextOffsets.get(partition) ?? 0) >= endOffset);
    while (!signal.aborted && !to.closed) {
      if (this.#inFlight >= bounds.maxBatchesInFlight) {
        await new Promise<void>((resolve) => (this.#wake = resolve));
        continue;
      }
      if (isDone()) break;
      const { maxBatchRecords: maxRecords, maxPollWaitMs: maxWaitMs } = bounds;
      const paused = this.#watch?.paused() ?? nonePaused;
      const pollBounds = { maxRecords, maxWaitMs, signal, ...(paused.size === 0 ? {} : { paused }) };
      const poll = (): Promise<Polled | null | 'end'> => reader.poll(pollBounds);
      const polled = await retryTransient(poll, this.#clock, signal, this.#onRetry);
      if (polled === 'end') break;
      if (polled === null) {
        if (this.#inFlight > 0) continue;
        const idle = (await this.#watch?.findIdle()) ?? [];
        if (idle.length > 0) {
          this.#inFlight++;
          to.next({ kind: 'idle', ranges: idle });
        } else if (this.#isFlushDue()) await this.#flush(task, retry);
        continue;
      }
      this.#inFlight++;
      to.next(polled);
    }
    to.complete();
  }

  /** What goes by the partitions' watermarks and the clock, for a query that has such; see `PartitionWatch`. */
  async #watchPartitions(
    task: Recovered,
    ends: readonly PartitionRange[] | null,
    retry: Retry,
  ): Promise<PartitionWatch | null> {
    const { idle, alignment, source } = this.#query;
    if (idle === undefined && alignment === undefined) return null;
    const ranges = (): Promise<readonly PartitionRange[]> => retry(() => source.ranges());
    const held = ends ?? (await ranges());
    const endsThere = ends !== null;
    const standsAt = (): readonly PartitionOffset[] => source.positions?.() ?? [];
    return new PartitionWatch({
      idle,
      alignment,
      clock: this.#clock,
      positions: task,
      ranges,
      standsAt,
      held,
      endsThere,
    });
  }

  /** What was polled, decoded: one batch, or, where the messages tell of idle writers, several. */
  async #open(polled: Arrived, task: Recovered, decoder: Decoder | null): Promise<readonly Flight[]> {
    if (polled.kind === 'idle') return [this.#openIdle(polled.ranges, task)];
    if (polled.kind === 'records') return [await this.#openRecords(polled.records, polled.deadLetters, null, task)];
    assert(decoder !== null, 'a source of messages needs a decoder');
    const preparing = decoder.prepare(polled.messages);
    if (preparing !== null) await preparing;
    const flights: Flight[] = [];
    for (const { records, deadLetters, messages } of decodeParts(decoder, polled.messages)) {
      flights.push(await this.#openRecords(records, deadLetters, messages, task));
    }
    this.#inFlight += flights.length - 1;
    return flights;
  }

  async #openRecords(
    decoded: RecordBatch,
    deadLetters: readonly DeadLetter[],
    messages: MessageBatch | null,
    task: Recovered,
  ): Promise<Flight> {
    const { watermark } = this.#query;
    let records = decoded;
    const { partitions, offsets } = messages ?? positionsOf(records, deadLetters);
    const ranges = takeRanges(partitions, offsets, task.nextOffsets);
    this.#watch?.heard(ranges);
    const idle = this.#watch === null ? [] : await this.#watch.findIdle();
    if (idle.length > 0) records = { ...records, idle: idlePartitions(idle, task.watermarks) };
    this.#futureGuarded += stampWatermarks(records, messages, task.watermarks, watermark);
    return {
      batchSequence: this.#nextBatchSequence++,
      ranges: [...idle, ...ranges],
      records,
      deadLetters,
      ledger: { ...emptyLedger, read: records.rowCount - countFlagged(records, MARK) + deadLetters.length },
      watermarksMs: task.watermarks.entries(),
      messages,
      state: null,
      absorbed: null,
    };
  }

  /** A batch without records, by which partitions leave the least watermark while nothing comes. */
  #openIdle(ranges: readonly OffsetRange[], task: Recovered): Flight {
    const { idle } = this.#query;
    assert(idle !== undefined, 'only a query that has a rule finds partitions idle');
    return {
      batchSequence: this.#nextBatchSequence++,
      ranges,
      records: idleBatch(
        idle.schema,
        (idle.heardBy === undefined ? idlePartitions : idleForOthers)(ranges, task.watermarks),
      ),
      deadLetters: [],
      ledger: emptyLedger,
      watermarksMs: task.watermarks.entries(),
      messages: null,
      state: null,
      absorbed: null,
    };
  }

  async #operate(flight: Flight, task: Recovered): Promise<Flight> {
    // Who waits is in another stage, and the operators of this one go by nothing that a clock says.
    if (this.#query.idle?.heardBy !== undefined && flight.records.idle !== undefined) return flight;
    const result = await lastValueFrom(of(flight.records).pipe(runSection(task.section)));
    const { records, filtered, duplicate, absorbed, amended, letGoEarly } = result;
    const deadLetters = [...flight.deadLetters, ...result.deadLetters];
    const state = this.#isFlushDue() || needsFlush(task.section) ? this.#takeState(task) : null;
    this.#isFlushed = state !== null;
    const ledger = { ...flight.ledger, filtered, duplicate };
    return { ...flight, records, deadLetters, state, absorbed, amended, letGoEarly, ledger };
  }

  /** Flushes are as far apart as the setting says, and far enough that they take a small share of the time: while a backlog is worked off, most keys change. */
  #isFlushDue(): boolean {
    const sinceMs = this.#clock.monotonicMs() - this.#lastFlushMs;
    return sinceMs >= this.#query.bounds.flushEveryMs && sinceMs >= this.#flushCostMs * flushPause;
  }

  #takeState(task: Recovered): StateFlush {
    const startedMs = this.#clock.monotonicMs();
    const writes = takeState(task.section);
    this.#lastFlushMs = this.#clock.monotonicMs();
    this.#flushCostMs = this.#lastFlushMs - startedMs;
    return { writes };
  }

  /** Starts scoring what a batch brought out anew; `null` where nothing of it is scored. */
  #rescore({ amended }: Flight): Promise<Settled<Pick<Flight, 'amended'>>> | null {
    if (amended === null || amended === undefined || this.#query.scoreAmended === undefined) return null;
    return settled(this.#query.scoreAmended(amended).then((rescored) => ({ amended: rescored })));
  }

  /** Writes the state when no batch is in flight: at the end of a run that ends well, and when nothing comes. */
  async #flush(task: Recovered, retry: Retry): Promise<void> {
    if (this.#isFlushed) return;
    const { jobDigest, modelDigest, commitLog } = this.#query;
    const metadata = {
      batchSequence: this.#nextBatchSequence,
      watermarksMs: task.watermarks.entries(),
      jobDigest,
      modelDigest,
    };
    const state = this.#takeState(task);
    await retry(() => commitLog.commit({ ranges: [], metadata, outputs: [], state }));
    tellStored(task.section);
    this.#isFlushed = true;
  }

  async #commit({ flight, outputs, answered, amended }: Encoded, task: Recovered, retry: Retry): Promise<void> {
    const { jobDigest, modelDigest, commitLog } = this.#query;
    const { batchSequence, ranges, watermarksMs, state } = flight;
    const metadata = { batchSequence, watermarksMs, jobDigest, modelDigest };
    const startedMs = this.#clock.monotonicMs();
    await retry(() => commitLog.commit({ ranges, metadata, outputs, state }));
    if (state !== null) {
      this.#flushCostMs += this.#clock.monotonicMs() - startedMs;
      tellStored(task.section);
    }
    const nowMs = this.#clock.nowMs();
    recordLatency(this.#latency, nowMs, flight.messages);
    this.#ledger = addLedgers(this.#ledger, flight.ledger);
    this.#batches++;
    this.#outputs += answered;
    this.#amended += amended;
    this.#letGoEarly += flight.letGoEarly ?? 0;
    this.#compacted += countFlagged(flight.records, COMPACTED);
    this.#inFlight--;
    this.#wake?.();
    this.#wake = null;
    const { ledger, records, deadLetters } = flight;
    this.#committed.next({ batchSequence, ledger, records, deadLetters });
  }
}

/** A promise that never rejects, for one that is awaited only later: an error that came before would end the process as unhandled. */
function settled<T>(promise: Promise<T>): Promise<Settled<T>> {
  return promise.catch((error: unknown) => ({ error }));
}
