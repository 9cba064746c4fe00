import { rm } from 'node:fs/promises';
import pc from 'picocolors';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { Storage } from '../../engine/storage/storage.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { openLocalRun, type LocalRun } from '../../jobs/runtime/run-local.ts';
import { SimulatedProducer } from '../../jobs/runtime/simulated-producer.ts';
import { FraudTally } from './fraud-tally.ts';
import { renderLine, renderScreen, type DemoSnapshot } from './screen.ts';

const dayMs = 86_400_000;
const partitions = 4;
/** Long enough to fill the windows of 30 days and the labels' delay of 7. */
const historyDays = 40;
/** Where the simulated world begins: far enough back that its clock, which runs thousands of times faster, does not overtake ours. */
const worldStartMs = Date.UTC(2018, 3, 1);
/** Not the seed that the model was trained with: it has never seen these cards. */
const demoSeed = 20_260;
const shownFeatures = ['rolling_avg_7d', 'amount_to_avg_ratio'];

/** How to run the demo. */
export interface DemoOptions {
  readonly job: CheckedJob;
  readonly directory: string;
  readonly modelsDirectory: string;
  readonly ratePerSecond: number;
  /** `null`: until the signal. */
  readonly durationMs: number | null;
  readonly clock: Clock;
}

/** What the demo did, as its last line says it. */
export interface DemoSummary {
  readonly read: number;
  readonly scored: number;
  readonly predictions: number;
  readonly deadLettered: number;
  readonly late: number;
  readonly txPerSecond: number;
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly historyRecords: number;
  readonly historyPerSecond: number;
  readonly frauds: number;
  readonly caught: number;
  readonly falseAlarms: number;
}

/**
 * The main job on the embedded profile with simulated traffic: forty days of history as fast as it goes, then live transactions at a rate, until
 * the time is up or the signal is aborted. Begins with an empty directory each time.
 */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<DemoSummary> {
  const { job, directory, clock } = options;
  await rm(directory, { recursive: true, force: true });
  await using storage = await Storage.open({ directory, access: 'write', clock });
  if (job.source.kind === 'topic') storage.ensureTopic(job.source.topic, { partitionCount: partitions });
  let clickHouseRows = 0;
  await using run = await openLocalRun(job, {
    storage,
    directory,
    modelsDirectory: options.modelsDirectory,
    logger: jsonLogger('sluice'),
    onProgress: (_sink, { messages }) => (clickHouseRows += messages),
  });
  return await new Demo(options, storage, run, () => clickHouseRows).play(signal);
}

/** One playing of the demo. */
class Demo {
  readonly #options: DemoOptions;
  readonly #run: LocalRun;
  readonly #clickHouseRows: () => number;
  readonly #producer: SimulatedProducer;
  readonly #tally = new FraudTally(shownFeatures);
  #eventTimeMs = NaN;
  #liveSinceMs = 0;
  #readBefore = 0;

  constructor(options: DemoOptions, storage: Storage, run: LocalRun, clickHouseRows: () => number) {
    this.#options = options;
    this.#run = run;
    this.#clickHouseRows = clickHouseRows;
    const topic = options.job.source.kind === 'topic' ? options.job.source.topic : '';
    const world = { seed: demoSeed, startMs: worldStartMs };
    this.#producer = new SimulatedProducer(
      { topic, partitions, world },
      async (messages) => {
        await storage.append(messages);
      },
      options.clock,
    );
  }

  async play(stopped: AbortSignal): Promise<DemoSummary> {
    const { clock, ratePerSecond, durationMs } = this.#options;
    const ending = new AbortController();
    const signal = AbortSignal.any([stopped, ending.signal]);
    this.#run.query.committed.subscribe(({ records }) => {
      if (records.rowCount > 0) this.#eventTimeMs = records.eventTimesMs[records.rowCount - 1] ?? NaN;
      if (this.#liveSinceMs > 0) this.#tally.observe(records);
    });
    const running = this.#run.run('realtime', signal).finally(() => ending.abort());
    // Awaited at the end; what it rejects with before then has stopped everything else already.
    running.catch(() => {});
    const history = await this.#playHistory(signal);
    if (signal.aborted) await running;
    this.#liveSinceMs = clock.monotonicMs();
    this.#readBefore = this.#run.query.totals.ledger.read;
    this.#run.query.resetLatency();
    const producing = this.#producer.writeLive(ratePerSecond, signal);
    const showing = this.#show(signal);
    if (durationMs !== null) await clock.sleep(durationMs, signal);
    else await running;
    ending.abort();
    await Promise.all([producing, showing, running]);
    return this.#summarise(history);
  }

  /** Writes the history and waits until all of it is scored. */
  async #playHistory(signal: AbortSignal): Promise<{ records: number; perSecond: number }> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    process.stderr.write(`${pc.dim(`history: ${historyDays} days of transactions, so that the windows are full …`)}\n`);
    await this.#producer.writeHistory(worldStartMs + historyDays * dayMs, signal);
    while (this.#run.query.totals.ledger.read < this.#producer.written && !signal.aborted)
      await clock.sleep(20, signal);
    const records = this.#producer.written;
    const seconds = (clock.monotonicMs() - startedMs) / 1_000;
    const perSecond = records / seconds;
    process.stderr.write(
      `${pc.dim(`history: ${records.toLocaleString('en-US')} transactions scored in ${seconds.toFixed(1)} s (${Math.round(perSecond).toLocaleString('en-US')} a second)`)}\n\n`,
    );
    return { records, perSecond };
  }

  /** Draws the screen each second, or a line every five where there is no terminal. */
  async #show(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const isScreen = process.stdout.isTTY;
    let drawnLines = 0;
    while (!signal.aborted) {
      await clock.sleep(isScreen ? 1_000 : 5_000, signal);
      const snapshot = this.#snapshot();
      if (!isScreen) {
        process.stdout.write(`${renderLine(snapshot)}\n`);
        continue;
      }
      const text = renderScreen(snapshot);
      // Up over the last drawing, clear it, draw again.
      process.stdout.write(`${drawnLines > 0 ? `\u001b[${drawnLines}A\u001b[0J` : ''}${text}\n`);
      drawnLines = text.split('\n').length;
    }
  }

  #snapshot(): DemoSnapshot {
    const { ledger, latency } = this.#run.query.totals;
    const elapsedSeconds = (this.#options.clock.monotonicMs() - this.#liveSinceMs) / 1_000;
    return {
      elapsedSeconds,
      eventTimeMs: this.#eventTimeMs,
      txPerSecond: (ledger.read - this.#readBefore) / elapsedSeconds,
      read: ledger.read,
      predictions: ledger.scored + ledger.late,
      deadLettered: ledger.deadLettered,
      late: ledger.late,
      p50Ms: latency.quantileMs(0.5),
      p99Ms: latency.quantileMs(0.99),
      clickHouseRows: this.#clickHouseRows(),
      tally: this.#tally.tally,
    };
  }

  #summarise(history: { readonly records: number; readonly perSecond: number }): DemoSummary {
    const snapshot = this.#snapshot();
    if (!process.stdout.isTTY) process.stdout.write(`${renderScreen(snapshot)}\n`);
    const { read, predictions, deadLettered, late, p50Ms, p99Ms, tally } = snapshot;
    return {
      read,
      scored: predictions - late,
      predictions,
      deadLettered,
      late,
      txPerSecond: Math.round(snapshot.txPerSecond),
      p50Ms: rounded(p50Ms),
      p99Ms: rounded(p99Ms),
      historyRecords: history.records,
      historyPerSecond: Math.round(history.perSecond),
      frauds: tally.frauds,
      caught: tally.caught,
      falseAlarms: tally.falseAlarms,
    };
  }
}

function rounded(valueMs: number | null): number | null {
  return valueMs === null ? null : Math.round(valueMs * 100) / 100;
}
