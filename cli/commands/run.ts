import { Option, type Command } from 'commander';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import type { Trigger } from '../../engine/execution/streaming-query.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';
import { stopSignal } from '../stop-signal.ts';

interface RunOptions extends DirectoryOption, ModelsOption {
  readonly profile: 'local';
  readonly trigger: Trigger;
}

/** `sluice run`: a job, until it is stopped. */
export function addRunCommand(program: Command): void {
  program
    .command('run')
    .description('run a job until Ctrl-C, or, with --trigger availableNow, until all that is there is done')
    .argument('<job>', 'job file')
    .addOption(new Option('--profile <profile>', 'what to run on').choices(['local']).default('local'))
    .addOption(new Option('--trigger <trigger>').choices(['realtime', 'availableNow']).default('realtime'))
    .option(...dataDirectory)
    .option(...modelsDirectory)
    .action(runJob);
}

async function runJob(path: string, { dir, models, trigger }: RunOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  const { signal } = stopSignal();
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  await using run = await openLocalRun(job, {
    storage,
    directory: dir,
    modelsDirectory: models,
    logger: jsonLogger('sluice'),
  });
  await run.run(trigger, signal);
  const { ledger, replayedRecords, latency } = run.query.totals;
  const figures = {
    ...ledger,
    replayed: replayedRecords,
    p50Ms: latency.quantileMs(0.5),
    p99Ms: latency.quantileMs(0.99),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
