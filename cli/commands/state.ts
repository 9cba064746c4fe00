import { InvalidArgumentError, Option, type Command } from 'commander';
import { SluiceError } from '../../engine/error.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { scanState, stateOfKey, type StateRow } from '../../jobs/state/state-view.ts';
import { openStoredState, storedJob, viewFromLog } from '../../jobs/state/stored-state.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { printRows, type RowFormat } from '../state/print-rows.ts';
import { wholeNumber } from '../whole-number.ts';

interface LookOptions extends DirectoryOption {
  readonly operator?: string;
  readonly format: RowFormat;
}

const rowFormat = (): Option =>
  new Option('--format <format>', 'table, or one JSON object a line').choices(['table', 'jsonl']).default('table');
const oneOperator: [string, string] = ['--operator <id>', 'of this operator only (`sluice explain` names them)'];

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
    .option(...dataDirectory)
    .action(getState);
  state
    .command('scan')
    .description('all that is remembered; as JSON lines, a table for `sluice sql`')
    .argument('<job>', 'job file')
    .option(...oneOperator)
    .option('--limit <n>', 'at most so many rows', wholeNumber)
    .addOption(rowFormat())
    .option(...dataDirectory)
    .action(scanAll);
  state
    .command('at')
    .description('what was remembered of a key before a record was read, computed from the log')
    .argument('<job>', 'job file')
    .argument('<offset>', "the record's offset; PARTITION:OFFSET where the input has several partitions", position)
    .requiredOption('--key <key...>', 'the key; several words for a key of several fields')
    .option(...oneOperator)
    .addOption(rowFormat())
    .option(...dataDirectory)
    .action(stateAt);
  state
    .command('verify')
    .description('compute a sample of the keys anew from the log, and compare; ends with 1 where anything differs')
    .argument('<job>', 'job file')
    .option('--sample <share>', 'which share of the keys, such as 1%', share, 0.01)
    .option(...dataDirectory)
    .action(verify);
  state
    .command('rebuild')
    .description('compute all state anew from the log and put it in the place of what is stored; the job must not run')
    .argument('<job>', 'job file')
    .option(...dataDirectory)
    .action(rebuild);
}

async function getState(path: string, key: string[], { dir, operator, format }: LookOptions): Promise<void> {
  const job = await loadCheckedJob(path);
  await using storage = await openToRead(dir);
  await printRows(inTurn(await stateOfKey(openStoredState(job, storage), key, operator ?? null)), format);
}

async function scanAll(
  path: string,
  { dir, operator, format, limit }: LookOptions & { readonly limit?: number },
): Promise<void> {
  const job = await loadCheckedJob(path);
  await using storage = await openToRead(dir);
  await printRows(firstOf(scanState(openStoredState(job, storage), operator ?? null), limit ?? Infinity), format);
}

async function stateAt(
  path: string,
  { partition, offset }: Position,
  { dir, operator, format, key }: LookOptions & { readonly key: string[] },
): Promise<void> {
  const job = await loadCheckedJob(path);
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

async function verify(path: string, { dir, sample }: DirectoryOption & { readonly sample: number }): Promise<void> {
  const job = await loadCheckedJob(path);
  await using storage = await openToRead(dir);
  const { keys, drifts, replayedRecords } = await verifyState(job, storage, dir, sample);
  for (const { operator, key, words } of drifts) {
    process.stdout.write(`operator ${operator}${key.length === 0 ? '' : `, key ${key.join(' ')}`}: ${words}\n`);
  }
  process.stdout.write(`${JSON.stringify({ keys, drift: drifts.length, replayed: replayedRecords })}\n`);
  if (drifts.length > 0) process.exitCode = 1;
}

async function rebuild(path: string, { dir }: DirectoryOption): Promise<void> {
  const job = await loadCheckedJob(path);
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
