import { InvalidArgumentError, Option, type Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { jsonLogger } from '../../engine/observability/logger.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { scanState, stateOfKey, type StateRow, type StateView } from '../../jobs/state/state-view.ts';
import { openStoredState, storedJob, viewFromLog } from '../../jobs/state/stored-state.ts';
import { verifyState, type Verified } from '../../jobs/state/verify-state.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { endAtOnce, endInTime, stopTimeoutMs } from '../end-in-time.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { loadClusterPart } from '../load-cluster-part.ts';
import { configFile, loadClusterSettings, type ConfigOption } from '../load-cluster-settings.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';
import { printRows, type RowFormat } from '../state/print-rows.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

interface ProfileOptions extends DirectoryOption, ConfigOption {
  readonly profile: 'local' | 'cluster';
}

interface LookOptions extends ProfileOptions {
  readonly operator?: string;
  readonly format: RowFormat;
}

const rowFormat = (): Option =>
  new Option('--format <format>', 'table, or one JSON object a line').choices(['table', 'jsonl']).default('table');
const oneOperator: [string, string] = ['--operator <id>', 'of this operator only (`sluice explain` names them)'];

const profile = (): Option =>
  new Option('--profile <profile>', 'what the job runs on').choices(['local', 'cluster']).default('local');

/** `sluice state`: what a job's operators remember, as rows; held against the log, and made anew from it. */
export function addStateCommand(program: Command): void {
  const state = program.command('state').description('look into what the operators of a job remember');
  state
    .command('get')
    .description('what is remembered of one key, also while the job runs')
    .argument('<job>', 'job file')
    .argument('<key...>', 'the key; several words for a key of several fields')
    .option(...oneOperator)
    .addOption(rowFormat())
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(getState);
  state
    .command('scan')
    .description('all that is remembered; as JSON lines, a table for `sluice sql`')
    .argument('<job>', 'job file')
    .option(...oneOperator)
    .option('--limit <n>', 'at most so many rows', wholeNumber)
    .addOption(rowFormat())
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(scanAll);
  state
    .command('at')
    .description('what was remembered of a key before a record was read, computed from the log')
    .argument('<job>', 'job file')
    .argument('<offset>', "the record's offset; PARTITION:OFFSET where the input has several partitions", position)
    .requiredOption('--key <key...>', 'the key; several words for a key of several fields')
    .option(...oneOperator)
    .addOption(rowFormat())
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(stateAt);
  state
    .command('verify')
    .description('compute a sample of the keys anew from the log, and compare; ends with 1 where anything differs')
    .argument('<job>', 'job file')
    .option('--sample <share>', 'which share of the keys, such as 1%', share, 0.01)
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .action(verify);
  state
    .command('rebuild')
    .description('compute all state anew from the log and put it in the place of what is stored; the job must not run')
    .argument('<job>', 'job file')
    .addOption(profile())
    .option(...dataDirectory)
    .option(...configFile)
    .option(...modelsDirectory)
    .action(rebuild);
}

async function getState(path: string, key: string[], options: LookOptions): Promise<void> {
  const { operator, format } = options;
  const rows = await look(path, options, (view) => stateOfKey(view, key, operator ?? null));
  await printRows(inTurn(rows), format);
}

async function scanAll(path: string, options: LookOptions & { readonly limit?: number }): Promise<void> {
  const { operator, format, limit } = options;
  await look(path, options, async (view) => {
    await printRows(firstOf(scanState(view, operator ?? null), limit ?? Infinity), format);
  });
}

/** Opens the state that is stored of a job, wherever it runs. */
async function look<T>(path: string, options: ProfileOptions, use: (view: StateView) => Promise<T>): Promise<T> {
  const job = await loadCheckedJob(path);
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { viewCluster } = await loadClusterPart(() => import('../../jobs/state/cluster-state.ts'));
    return viewCluster(job, { settings, clock: systemClock }, use);
  }
  await using storage = await openToRead(options.dir);
  return await use(openStoredState(job, storage));
}

async function stateAt(
  path: string,
  { partition, offset }: Position,
  options: LookOptions & { readonly key: string[] },
): Promise<void> {
  const { dir, operator, format, key } = options;
  const job = await loadCheckedJob(path);
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { viewClusterAt } = await loadClusterPart(() => import('../../jobs/state/cluster-state.ts'));
    const at = { partition: partition ?? 0, offset };
    const store = { settings, clock: systemClock };
    const rows = await viewClusterAt(job, store, at, operator ?? null, (view) =>
      stateOfKey(view, key, operator ?? null),
    );
    await printRows(inTurn(rows), format);
    return;
  }
  await using storage = await openToRead(dir);
  const stored = storedJob(job, storage);
  const { committed } = stored.row;
  const [only] = committed;
  if (partition === null && committed.length !== 1) {
    throw new SluiceError(
      'PARTITION_MISSING',
      `the position must name a partition, as in 0:${offset}, since job ${job.name} has read ${committed.length} of them`,
    );
  }
  const end = { partition: partition ?? only?.partition ?? 0, offset };
  const view = await viewFromLog(job, storage, dir, stored, end);
  await printRows(inTurn(await stateOfKey(view, key, operator ?? null)), format);
}

async function verify(path: string, options: ProfileOptions & { readonly sample: number }): Promise<void> {
  const { keys, drifts, replayedRecords } = await verified(path, options);
  for (const { operator, key, words } of drifts) {
    process.stdout.write(`operator ${operator}${key.length === 0 ? '' : `, key ${key.join(' ')}`}: ${words}\n`);
  }
  process.stdout.write(`${JSON.stringify({ keys, drift: drifts.length, replayed: replayedRecords })}\n`);
  if (drifts.length > 0) process.exitCode = 1;
}

async function verified(path: string, options: ProfileOptions & { readonly sample: number }): Promise<Verified> {
  const job = await loadCheckedJob(path);
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { verifyCluster } = await loadClusterPart(() => import('../../jobs/state/cluster-state.ts'));
    return verifyCluster(job, { settings, clock: systemClock }, options.sample);
  }
  await using storage = await openToRead(options.dir);
  return await verifyState(job, storage, options.dir, options.sample);
}

async function rebuild(path: string, options: ProfileOptions & ModelsOption): Promise<void> {
  const job = await loadCheckedJob(path);
  const { dir } = options;
  if (options.profile === 'cluster') {
    const settings = await loadClusterSettings(options);
    const { rebuildCluster } = await loadClusterPart(() => import('../../jobs/state/rebuild-cluster.ts'));
    const logger = jsonLogger('sluice');
    const stop = stopSignal(endAtOnce);
    endInTime(stop.signal, stopTimeoutMs, logger);
    const store = { settings, clock: systemClock, modelsDirectory: options.models, logger };
    const replayed = await rebuildCluster(job, store, stop.signal);
    process.stdout.write(`${JSON.stringify({ replayed })}\n`);
    // Told to stop on the way: the tasks that are left are rebuilt by whoever has them next.
    if (stop.signal.aborted) process.exitCode = 1;
    return;
  }
  await using storage = await Storage.open({ directory: dir, access: 'write', clock: systemClock });
  const { replayedRecords, keys } = await rebuildState(job, storage, dir);
  process.stdout.write(`${JSON.stringify({ keys, replayed: replayedRecords })}\n`);
}

function openToRead(directory: string): Promise<Storage> {
  return Storage.open({ directory, access: 'read', clock: systemClock });
}

async function* inTurn(rows: readonly StateRow[]): AsyncGenerator<StateRow> {
  for (const row of rows) yield await Promise.resolve(row);
}

async function* firstOf(rows: AsyncIterable<StateRow>, limit: number): AsyncGenerator<StateRow> {
  if (limit === 0) return;
  let count = 0;
  for await (const row of rows) {
    yield row;
    if (++count >= limit) return;
  }
}

/** A place in the input. */
interface Position {
  /** `null` where it was not named. */
  readonly partition: number | null;
  readonly offset: number;
}

function position(text: string): Position {
  const [first = '', second] = text.split(':');
  return second === undefined
    ? { partition: null, offset: wholeNumber(first) }
    : { partition: wholeNumber(first), offset: wholeNumber(second) };
}

/** A share such as 1%, 0.5% or 0.01. */
function share(text: string): number {
  const value = text.endsWith('%') ? Number(text.slice(0, -1)) / 100 : Number(text);
  if (!(value > 0 && value <= 1)) throw new InvalidArgumentError('It must be above 0% and at most 100%.');
  return value;
}
