import { Option, type Command } from 'commander';
import pc from 'picocolors';
import { SluiceError } from '../../engine/error.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { planClusterChange, planJobChange, type JobChange } from '../../jobs/state/plan-change.ts';
import type { DirectoryOption } from '../data-directory.ts';
import { loadCheckedJob } from '../load-checked-job.ts';

interface PlanOptions extends Partial<DirectoryOption> {
  readonly diff: true;
  readonly profile: 'local' | 'cluster';
  readonly format: 'text' | 'json';
}

const marks = { kept: pc.green('='), rebuilt: pc.yellow('~'), dropped: pc.dim('-'), refused: pc.red('!') } as const;

/** `sluice plan --diff OLD NEW`: what becomes of a job's state when its files are changed. */
export function addPlanCommand(program: Command): void {
  program
    .command('plan')
    .description(
      'say what becomes of the state of a job when its file is changed: kept, rebuilt and from where, refused',
    )
    .requiredOption('--diff', 'compare two job files; ends with 1 where the change is refused')
    .argument('<old>', 'the job file as it was run')
    .argument('<new>', 'the job file as it is to be run')
    .option(
      '--dir <directory>',
      'a data directory of the embedded profile in which the job has run: says the offsets, and whether the log reaches back',
    )
    .addOption(new Option('--profile <profile>', 'what the job runs on').choices(['local', 'cluster']).default('local'))
    .addOption(new Option('--format <format>').choices(['text', 'json']).default('text'))
    .action(planDiff);
}

async function planDiff(oldPath: string, newPath: string, { dir, format, profile }: PlanOptions): Promise<void> {
  const [old, next] = [await loadCheckedJob(oldPath), await loadCheckedJob(newPath)];
  if (old.name !== next.name) {
    throw new SluiceError(
      'JOB_RENAMED',
      `both files must be of one job; got ${old.name} and ${next.name}. A job of another name has state of its own, and begins anew`,
    );
  }
  let change: JobChange;
  if (profile === 'cluster') {
    change = planClusterChange(old, next);
  } else if (dir === undefined) {
    change = await planJobChange(old, next, null);
  } else {
    await using storage = await Storage.open({ directory: dir, access: 'read', clock: systemClock });
    change = await planJobChange(old, next, { storage, directory: dir });
  }
  process.stdout.write(format === 'json' ? `${JSON.stringify(change, null, 2)}\n` : textOf(next.name, change));
  if (change.outcome === 'refused') process.exitCode = 1;
}

function textOf(job: string, { outcome, operators, refusals, notes, from, words }: JobChange): string {
  const width = Math.max(0, ...operators.map(({ operator }) => operator.length));
  const lines = operators.map(({ operator, fate, words: why }) => {
    return `  ${marks[fate]} ${operator.padEnd(width)}  ${fate}${fate === 'kept' ? '' : `: ${why}`}`;
  });
  const begins = from.map(({ partition, offset }) => `    from offset ${offset} of partition ${partition}`);
  return [
    `job ${job}: ${outcome}`,
    ...lines,
    ...notes.map((note) => `  · ${note}`),
    ...refusals.map((refusal) => `  ${pc.red('refused')}: ${refusal}`),
    words,
    ...begins,
    '',
  ].join('\n');
}
