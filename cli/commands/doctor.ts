import Table from 'cli-table3';
import type { Command } from 'commander';
import pc from 'picocolors';
import { SluiceError } from '../../engine/error.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckOutcome, CheckResult } from '../../jobs/runtime/cluster/checklist.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';
import { loadClusterPart } from '../load-cluster-part.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';
import { threadCount } from '../thread-count.ts';

interface DoctorOptions extends ModelsOption, ConfigOption {
  readonly format: 'text' | 'json';
}

const marks: Readonly<Record<CheckOutcome, string>> = {
  ok: pc.green('ok'),
  warned: pc.yellow('warning'),
  refused: pc.red('refused'),
  'not looked at': pc.dim('not looked at'),
};

/** `sluice doctor`: everything that a job needs on a cluster, looked at before it starts. */
export function addDoctorCommand(program: Command): void {
  program
    .command('doctor')
    .description('check everything that a job needs on a cluster; exit code 1 where anything is refused')
    .argument('<job>', 'job file')
    .option(...modelsDirectory)
    .option(...configFile)
    .option('--format <format>', 'text or json', 'text')
    .action(runDoctor);
}

async function runDoctor(path: string, options: DoctorOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  const settings = await loadClusterSettings(options);
  const { preflight } = await loadClusterPart(() => import('../../jobs/runtime/preflight.ts'));
  const results = await preflight(job, {
    settings,
    modelsDirectory: options.models,
    clock: systemClock,
    purpose: 'examine',
    threads: threadCount(),
  });
  process.stdout.write(options.format === 'json' ? `${JSON.stringify(results, null, 2)}\n` : tableOf(results));
  refuseIfAny(results);
}

/** @throws {SluiceError} `PREFLIGHT_REFUSED` where anything was refused, after it was printed. */
export function refuseIfAny(results: readonly CheckResult[]): void {
  const refused = results.filter(({ outcome }) => outcome === 'refused');
  if (refused.length === 0) return;
  throw new SluiceError(
    'PREFLIGHT_REFUSED',
    `everything that the job needs must be there before it starts; ${refused.length} of ${results.length} checks refused: ${refused.map(({ thing }) => thing).join(', ')}`,
  );
}

/** The checks as a table, what is refused with its code. */
export function tableOf(results: readonly CheckResult[]): string {
  const width = Math.max(40, (process.stdout.columns ?? 140) - 60);
  const table = new Table({
    head: ['check', '', 'found'],
    colWidths: [null, null, width],
    wordWrap: true,
    style: { head: [], border: [] },
  });
  for (const { thing, outcome, words, code } of results) {
    table.push([thing, marks[outcome], code === null ? words : `${pc.bold(code)}: ${words}`]);
  }
  return `${table.toString()}\n`;
}
