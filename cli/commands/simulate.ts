import type { Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { handbookIdentity } from '../../simulation/handbook/identity.ts';
import { writeHandbookParquet } from '../../simulation/handbook/parquet.ts';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';

interface SimulateOptions {
  readonly handbook?: true;
  readonly out?: string;
}

/** `sluice simulate`: streams of card transactions, made up but reproducible. */
export function addSimulateCommand(program: Command): void {
  program
    .command('simulate')
    .description('make a reproducible stream of card transactions')
    .option('--handbook', "the Fraud Detection Handbook's 183 days, bit for bit")
    .option('--out <file>', 'write a Parquet file')
    .action((options: SimulateOptions) => simulate(options));
}

function simulate({ handbook, out }: SimulateOptions): void {
  if (handbook !== true || out === undefined) {
    throw new SluiceError(
      'OPTION_MISSING',
      'simulate must be told what and where to: sluice simulate --handbook --out FILE.parquet',
    );
  }
  const startedMs = systemClock.monotonicMs();
  const transactions = generateHandbookTransactions();
  writeHandbookParquet(out, transactions);
  const seconds = ((systemClock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(`${transactions.rowCount} transactions written to ${out} in ${seconds} s\n`);
  process.stdout.write(`sha256 ${handbookIdentity(transactions)}\n`);
}
