import { SluiceError } from '../error.ts';
import { StreamingQuery } from '../execution/streaming-query.ts';
import type { QueryBounds } from '../execution/query-definition.ts';
import { compareRows, type Row } from './compare-rows.ts';
import type { MemoryBroker } from './memory-broker.ts';
import { rowOf } from './query-driver.ts';
import { appendRows, brokerFor, newestEventTimeOf, writtenTopics, type QueryUnderTest } from './query-under-test.ts';
import { errorText, renderDifferences } from './render-story.ts';
import { TestProcess, wordsOf, type CrashPoint } from './test-process.ts';
import { VirtualClock } from './virtual-clock.ts';

/** One run that was struck, once it has been taken to its end. */
export interface CrashRun {
  /** Where it was struck; nowhere for the run that the others are held against. */
  readonly crashes: readonly CrashPoint[];
  /** A topic's rows, in the order in which they were committed; of the first output topic where none is named. */
  readonly rows: (topic?: string) => readonly Row[];
}

/** How a query is struck. */
export interface CrashOptions {
  /** `singly` (the default), or `in pairs`: the recovery from each crash is struck at every point, too. The runs are then the points' square. */
  readonly crashes?: 'singly' | 'in pairs';
  /** Default: batches of 2 records, two in flight, and state written with each, so that a short input comes to every step. */
  readonly bounds?: Partial<QueryBounds>;
  /** Looks at each run besides, the one that was not struck among them; throws when it does not like what it sees. */
  readonly check?: (run: CrashRun) => void | Promise<void>;
}

/** What was done. */
export interface CrashSummary {
  /** The points of the run that was not struck. */
  readonly points: number;
  readonly runs: number;
}

const shortBatches: QueryBounds = { maxBatchRecords: 2, maxPollWaitMs: 1, maxBatchesInFlight: 2, flushEveryMs: 0 };

/**
 * Runs a query over `rows` once for every point at which its process can die: before and after each time that it takes the task, reads, scores, begins a transaction,
 * produces, sends its offsets, commits, and writes and reads state. Each time a new process takes up where the dead one stopped, and what is then in the output topics and in
 * the dead letters must be, byte for byte, what the run has that was never struck. Then the rows are given once more, to a further process: where its answers are the
 * same, too, no record can tell the states apart. (Their bytes may differ: what the watermark has passed is evicted sooner or later.)
 *
 * Costs two runs of the query for each point; an input of ten records has about a hundred. See `docs/testing.md`.
 *
 * @throws {SluiceError} `TEST_FAILED` with the crash point and the first differences; with what the query ended with, where it did not get through.
 */
export async function forEveryCrashPoint(
  query: QueryUnderTest,
  rows: readonly (Row | string)[],
  { crashes = 'singly', bounds = {}, check = () => undefined }: CrashOptions = {},
): Promise<CrashSummary> {
  const runWith = (strikes: readonly CrashPoint[]): Promise<StruckRun> =>
    runStruck(query, rows, strikes, { ...query.bounds, ...shortBatches, ...bounds });
  const whole = await runWith([]);
  await check(viewOf(query, whole, []));
  let runs = 1;
  const strike = async (strikes: readonly CrashPoint[]): Promise<readonly CrashPoint[]> => {
    const run = await runWith(strikes);
    runs++;
    const difference = differenceOf(query, run, whole);
    if (difference !== null) throw failed(query, strikes, difference);
    await check(viewOf(query, run, strikes));
    return run.passed;
  };
  for (const first of whole.passed) {
    const recovery = await strike([first]);
    if (crashes === 'singly') continue;
    for (const second of recovery) await strike([first, second]);
  }
  return { points: whole.passed.length, runs };
}

interface StruckRun {
  readonly broker: MemoryBroker;
  /** The points that the life passed which came to the end of the rows. */
  readonly passed: readonly CrashPoint[];
  /** How many messages each topic had then, before the rows were given once more. */
  readonly sizes: ReadonlyMap<string, number>;
}

/** Lives of one query, each but the last ended by a strike, until all of the input is committed; then one more, over the same input again. */
async function runStruck(
  query: QueryUnderTest,
  rows: readonly (Row | string)[],
  strikes: readonly CrashPoint[],
  bounds: QueryBounds,
): Promise<StruckRun> {
  const broker = brokerFor(query);
  const newestMs = newestEventTimeOf(query.input, rows);
  const nowMs = Number.isFinite(newestMs) ? newestMs : 0;
  const live = async (strike: CrashPoint | null, doing: string): Promise<TestProcess> => {
    const process = new TestProcess(strike);
    try {
      await runOnce(query, broker, process, nowMs, bounds);
    } catch (error) {
      if (!process.isDead)
        throw failed(query, strikes, `the query did not get through ${doing}: ${errorText(error)}`, error);
    }
    return process;
  };
  appendRows(broker, query.input, rows, { timestampMs: nowMs });
  for (const strike of strikes) {
    const { isDead } = await live(strike, 'to the crash');
    if (!isDead)
      throw failed(query, strikes, `it never came to ${wordsOf(strike)}: the query does not do the same each time`);
  }
  const { passed } = await live(null, strikes.length === 0 ? 'the rows' : 'the rows afterwards');
  const sizes = new Map(writtenTopics(query).map(({ topic }) => [topic, broker.readInOrder(topic).length]));
  appendRows(broker, query.input, rows, { timestampMs: nowMs });
  await live(null, 'the same rows given once more');
  return { broker, passed, sizes };
}

async function runOnce(
  query: QueryUnderTest,
  broker: MemoryBroker,
  process: TestProcess,
  nowMs: number,
  bounds: QueryBounds,
): Promise<void> {
  const parts = {
    source: process.source(broker.source(query.input.topic)),
    commitLog: process.commitLog(broker),
    bounds,
  };
  const definition = process.query(query.open(parts));
  const running = new StreamingQuery(definition, new VirtualClock(nowMs), () => undefined);
  await running.run('availableNow', new AbortController().signal);
}

/** In what one run's topics are not another's, in words; `null` where they are the same. */
function differenceOf(query: QueryUnderTest, got: StruckRun, wanted: StruckRun): string | null {
  for (const { topic } of writtenTopics(query)) {
    const messages = [got, wanted].map(({ broker }) =>
      broker.read(topic).map((log) => log.map(({ key, value }) => ({ key, value }))),
    );
    if (JSON.stringify(messages[0]) === JSON.stringify(messages[1])) continue;
    const rowsIn = ({ broker, sizes }: StruckRun, part: 'first' | 'again'): readonly Row[] => {
      const rows = broker.readInOrder(topic).map(({ partition, key, value }) => ({ partition, key, ...rowOf(value) }));
      return part === 'first' ? rows.slice(0, sizes.get(topic)) : rows.slice(sizes.get(topic));
    };
    const first = compareRows(rowsIn(got, 'first'), rowsIn(wanted, 'first'), { fields: 'all' });
    if (first.length > 0) {
      const [has, had] = [got, wanted].map(({ sizes }) => sizes.get(topic) ?? 0);
      return `topic ${topic} has ${has} rows, and ${had} without the crash\n${renderDifferences(first)}`;
    }
    const again = compareRows(rowsIn(got, 'again'), rowsIn(wanted, 'again'), { fields: 'all' });
    return `the state is not what it is without the crash: given the same rows once more, topic ${topic} differs\n${renderDifferences(again)}`;
  }
  return null;
}

function viewOf(query: QueryUnderTest, { broker, sizes }: StruckRun, crashes: readonly CrashPoint[]): CrashRun {
  return {
    crashes,
    rows: (topic = query.outputs[0]?.topic ?? '') =>
      broker
        .readInOrder(topic)
        .slice(0, sizes.get(topic))
        .map(({ value }) => rowOf(value)),
  };
}

function failed(query: QueryUnderTest, crashes: readonly CrashPoint[], what: string, cause?: unknown): SluiceError {
  const where = crashes.length === 0 ? 'without a crash' : `with a crash ${crashes.map(wordsOf).join(', then ')}`;
  return new SluiceError('TEST_FAILED', `query ${query.name}, ${where}: ${what}`, { cause });
}
