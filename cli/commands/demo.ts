import type { Command } from 'commander';
import pc from 'picocolors';
import { systemClock } from '../../engine/time/clock.ts';
import { runDemo } from '../demo/run-demo.ts';
import { duration } from '../duration-option.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { packageFile } from '../../engine/package-file.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

interface DemoCommandOptions {
  readonly for?: number;
  readonly rate: number;
  readonly dir: string;
}

/** `sluice demo`: the main job on simulated traffic, with a screen. */
export function addDemoCommand(program: Command): void {
  program
    .command('demo')
    .description('run the fraud job on simulated traffic: watch features, scores and alerts go by')
    .option('--for <duration>', 'stop by itself after this long, and print a summary', duration)
    .option('--rate <n>', 'transactions a second', wholeNumber, 2_000)
    .option('--dir <directory>', 'data directory, emptied first', '.sluice/demo')
    .action(demo);
}

async function demo({ for: durationMs, rate, dir }: DemoCommandOptions): Promise<void> {
  const job = await loadCheckedJob(packageFile('jobs/fraud-scoring.yaml'));
  const { signal } = stopSignal();
  const options = {
    job,
    directory: dir,
    modelsDirectory: packageFile('models'),
    ratePerSecond: rate,
    durationMs: durationMs ?? null,
    clock: systemClock,
  };
  const summary = await runDemo(options, signal);
  process.stdout.write(
    [
      '',
      pc.bold('where to look next'),
      `  ./bin/sluice topic tail fraud_predictions --dir ${dir} --last 3 --no-follow`,
      `  ./bin/sluice sql "SELECT hour, predictions, alerts FROM alerts_hourly ORDER BY hour DESC LIMIT 5" --dir ${dir}`,
      '  ./bin/sluice explain jobs/fraud-scoring.yaml',
      '  features/card.yaml, features/terminal.yaml: what is computed; ARCHITECTURE.md: how',
      '',
      `${JSON.stringify(summary)}\n`,
    ].join('\n'),
  );
}
