import Table from 'cli-table3';
import { Option, type Command } from 'commander';
import {
  runHandbookBenchmark,
  type HandbookFigures,
  type HandbookSeriesName,
} from '../../learning/evaluation/handbook-benchmark.ts';
import { handbookFeatures } from '../../jobs/runtime/handbook-features.ts';
import { generateHandbookTransactions } from '../../simulation/handbook/transactions.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { packageFile } from '../../engine/package-file.ts';

/** The feature sets that are evaluated, with their job files. */
const featureSets = { handbook15: 'jobs/handbook.yaml', own: 'jobs/handbook-own.yaml' } as const;

/** The book's best figures, from its tables of results. */
const published = {
  baseline: { averagePrecision: 0.658, model: 'random forest' },
  prequential: { averagePrecision: 0.687, model: 'XGBoost' },
} as const;

interface EvaluateOptions {
  readonly features?: keyof typeof featureSets;
  readonly trainDays: number;
}

/** `sluice evaluate`: the Handbook's protocol over our features and our trainer, beside the published figures. */
export function addEvaluateCommand(program: Command): void {
  program
    .command('evaluate')
    .description(
      "train and test by the Fraud Detection Handbook's protocol, and print the figures beside the published ones",
    )
    .addOption(new Option('--features <set>', 'one feature set only').choices(Object.keys(featureSets)))
    .option('--train-days <n>', 'mature days to train on', (text) => Number(text), 28)
    .action(evaluate);
}

async function evaluate({ features, trainDays }: EvaluateOptions): Promise<void> {
  const transactions = generateHandbookTransactions();
  const table = new Table({ head: ['features', 'protocol', 'AUC ROC', 'AP', 'CP@100', 'best published AP'] });
  const figures: Record<string, Record<string, HandbookFigures>> = {};
  const sets = Object.entries(featureSets).filter(([name]) => features === undefined || name === features);
  for (const [name, file] of sets) {
    const stream = await handbookFeatures(await loadCheckedJob(packageFile(file)), transactions);
    for (const series of ['baseline', 'prequential'] satisfies HandbookSeriesName[]) {
      const { mean, deviation } = runHandbookBenchmark(stream, series, { trainDays });
      figures[name] = { ...figures[name], [series]: mean };
      const cell = (figure: keyof HandbookFigures): string =>
        mean[figure].toFixed(3) + (series === 'prequential' ? ` ± ${deviation[figure].toFixed(3)}` : '');
      const { averagePrecision, model } = published[series];
      table.push([
        name,
        series,
        cell('aucRoc'),
        cell('averagePrecision'),
        cell('cardPrecision100'),
        `${averagePrecision} (${model})`,
      ]);
    }
  }
  process.stdout.write(`${table.toString()}\n${JSON.stringify(figures)}\n`);
}
