import type { Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { SimulatedProducer } from '../../jobs/runtime/simulated-producer.ts';
import { handbookIdentity } from '../../simulation/handbook/identity.ts';
import { writeHandbookParquet } from '../../simulation/handbook/parquet.ts';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { duration } from '../duration-option.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

const dayMs = 86_400_000;
const newTopicPartitions = 4;

interface SimulateOptions extends DirectoryOption {
  readonly handbook?: true;
  readonly out?: string;
  readonly topic?: string;
  readonly rate: number;
  readonly for?: number;
  readonly seed: number;
  readonly start: string;
  readonly historyDays: number;
  readonly drift?: number | true;
  readonly delayed: number;
  readonly duplicates: number;
  readonly malformed: number;
}

/** `sluice simulate`: streams of card transactions, made up but reproducible. */
export function addSimulateCommand(program: Command): void {
  program
    .command('simulate')
    .description('make a reproducible stream of card transactions: into a file, or, without end, into a topic')
    .option('--handbook', "the Fraud Detection Handbook's 183 days, bit for bit, into --out")
    .option('--out <file>', 'the Parquet file to write')
    .option('--topic <name>', 'write to this topic of the embedded log until Ctrl-C')
    .option('--rate <n>', 'transactions a second', wholeNumber, 2_000)
    .option('--for <duration>', 'stop after this long', duration)
    .option('--seed <n>', 'the same seed makes the same stream', wholeNumber, 0)
    .option('--start <day>', 'the first day of the simulated world', '2018-04-01')
    .option('--history-days <n>', 'write so many days at once before the rate applies', wholeNumber, 0)
    .option('--drift [day]', 'the drift drill: the world changes on this day (110)', wholeNumber)
    .option('--delayed <share>', 'share of records that come up to ten seconds late', Number, 0)
    .option('--duplicates <share>', 'share of records that come twice', Number, 0)
    .option('--malformed <share>', 'share of records that cannot be read', Number, 0)
    .option(...dataDirectory)
    .action(simulate);
}

async function simulate(options: SimulateOptions): Promise<void> {
  const { handbook, out, topic } = options;
  if (handbook === true && out !== undefined) {
    simulateHandbook(out);
  } else if (topic !== undefined) {
    await simulateTopic(topic, options);
  } else {
    throw new SluiceError(
      'OPTION_MISSING',
      'simulate must be told what and where to: sluice simulate --handbook --out FILE.parquet, or sluice simulate --topic NAME',
    );
  }
}

function simulateHandbook(out: string): void {
  const startedMs = systemClock.monotonicMs();
  const transactions = generateHandbookTransactions();
  writeHandbookParquet(out, transactions);
  const seconds = ((systemClock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(`${transactions.rowCount} transactions written to ${out} in ${seconds} s\n`);
  process.stdout.write(`sha256 ${handbookIdentity(transactions)}\n`);
}

async function simulateTopic(topic: string, options: SimulateOptions): Promise<void> {
  const startMs = Date.parse(`${options.start}T00:00:00Z`);
  if (Number.isNaN(startMs)) {
    throw new SluiceError('OPTION_INVALID', `--start must be a day such as 2018-04-01; got "${options.start}"`);
  }
  const stop = stopSignal();
  const time = stop.signal;
  await using storage = await Storage.open({ directory: options.dir, access: 'write', clock: systemClock });
  const known = storage.topics().find(({ name }) => name === topic);
  const { partitionCount } = known ?? storage.ensureTopic(topic, { partitionCount: newTopicPartitions });
  const world = {
    seed: options.seed,
    startMs,
    driftFromDay: options.drift === undefined ? null : options.drift === true ? 110 : options.drift,
    disorder: { share: options.delayed, maxDelayMs: 10_000 },
    duplicates: { share: options.duplicates, withinMs: 60_000 },
    malformedShare: options.malformed,
  };
  const producer = new SimulatedProducer(
    { topic, partitions: partitionCount, world },
    async (messages) => {
      await storage.append(messages);
    },
    systemClock,
  );
  if (options.historyDays > 0) await producer.writeHistory(startMs + options.historyDays * dayMs, time);
  const ending = options.for === undefined ? null : systemClock.sleep(options.for, time).then(() => stop.abort());
  await producer.writeLive(options.rate, time);
  await ending;
  process.stdout.write(`${JSON.stringify({ topic, written: producer.written })}\n`);
}
