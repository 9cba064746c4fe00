import { statSync } from 'node:fs';
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { restoreLocal, saveLocal, type SavepointFigures } from '../../jobs/state/local-savepoint.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { loadClusterPart } from '../load-cluster-part.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';

interface ProfileOptions extends DirectoryOption, ConfigOption {
  readonly profile: 'local' | 'cluster';
}

interface CreateOptions extends ProfileOptions {
  readonly to: string;
  readonly name?: string;
}

interface RestoreOptions extends ProfileOptions {
  readonly from: string;
  readonly replace?: true;
}

const profile = (): Option =>
  new Option('--profile <profile>', 'what the job runs on').choices(['local', 'cluster']).default('local');

/** `sluice savepoint`: a job's state in one file, for another directory, another cluster, or a later day. */
export function addSavepointCommand(program: Command): void {
  const savepoint = program.command('savepoint').description('keep the state of a job in a file, and put it back');
  savepoint
    .command('create')
    .description('write the state, positions and watermarks of a job that is stopped to a file')
    .argument('<job>', 'job file')
    .requiredOption('--to <file>', 'the file, or a directory in which it is named for the job and the savepoint')
    .option('--name <name>', "the savepoint's name; the time where it has none")
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(create);
  savepoint
    .command('restore')
    .description('put a savepoint where the job runs next; its input must hold the same records at the same offsets')
    .argument('<job>', 'job file')
    .requiredOption('--from <file>', 'the savepoint')
    .option('--replace', 'in the place of the state that is there')
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(restore);
}

async function create(path: string, options: CreateOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  const name = options.name ?? new Date(systemClock.nowMs()).toISOString().replaceAll(/[:.]/g, '-');
  const to = { name, path: fileOf(options.to, job, name) };
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { saveCluster } = await loadClusterPart(() => import('../../jobs/state/cluster-savepoint.ts'));
    print(await saveCluster(job, { settings, clock: systemClock }, to));
    return;
  }
  await using storage = await Storage.open({ directory: options.dir, access: 'write', clock: systemClock });
  print(await saveLocal(job, { storage, directory: options.dir }, to));
}

async function restore(path: string, options: RestoreOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  const existing = options.replace === true ? 'replace' : 'refuse';
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { restoreCluster } = await loadClusterPart(() => import('../../jobs/state/restore-cluster.ts'));
    print(await restoreCluster(job, { settings, clock: systemClock }, options.from, existing));
    return;
  }
  await using storage = await Storage.open({ directory: options.dir, access: 'write', clock: systemClock });
  print(await restoreLocal(job, { storage }, options.from, existing));
}

function fileOf(to: string, job: CheckedJob, name: string): string {
  const isFolder = to.endsWith('/') || statSync(to, { throwIfNoEntry: false })?.isDirectory() === true;
  return isFolder ? join(to, `${job.name}-${name}.savepoint`) : to;
}

function print(figures: SavepointFigures): void {
  process.stdout.write(`${JSON.stringify(figures)}\n`);
}
