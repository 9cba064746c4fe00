import type { Command } from 'commander';
import { SingleBar } from 'cli-progress';
import { SluiceError } from '../../engine/error.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { readParquetTable } from '../../engine/source/file/parquet-table.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { modelColumns } from '../../features/model-input.ts';
import type { FeatureColumn } from '../../features/feature-plan.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { ExpectedValues, type Comparison } from '../../jobs/runtime/expected-values.ts';
import { fileKind, openFileSource } from '../../jobs/runtime/open-source.ts';
import { replayFeatures } from '../../jobs/runtime/replay-features.ts';
import { loadCheckedJob } from '../load-checked-job.ts';

interface ReplayOptions {
  readonly from: string;
  readonly expect?: string;
  readonly key?: string;
}

/** `sluice replay`: a job's features over a file, as fast as it goes, and held against expected values. */
export function addReplayCommand(program: Command): void {
  program
    .command('replay')
    .description("run a job's features over a file and compare them with expected values")
    .argument('<job>', 'job file')
    .requiredOption('--from <file>', 'records: Parquet, CSV or JSON lines, in order of arrival')
    .option('--expect <file.parquet>', 'expected feature values, one row a record')
    .option('--key <column>', 'the column that identifies a record in both files')
    .action(async (path: string, options: ReplayOptions) => replay(await loadCheckedJob(path), options));
}

async function replay(job: CheckedJob, { from, expect, key }: ReplayOptions): Promise<void> {
  if ((expect === undefined) !== (key === undefined)) {
    throw new SluiceError('OPTION_MISSING', 'replay must be given --expect and --key together, or neither');
  }
  const expected = expect === undefined || key === undefined ? null : await collectExpected(job, expect, key);
  const source = await openFileSource(job, { kind: fileKind(from), path: from });
  const [range] = await source.ranges();
  const bar = new SingleBar({
    format: '{bar} {percentage}% | {value}/{total} records | {duration_formatted}',
    clearOnComplete: true,
  });
  if (process.stderr.isTTY) bar.start((range?.endOffset ?? 0) - (range?.startOffset ?? 0), 0);
  const startedMs = systemClock.monotonicMs();
  let records = 0;
  let deadLetters = 0;
  for await (const batch of replayFeatures(job, { source, decoder: null })) {
    expected?.compare(batch.records);
    records += batch.records.rowCount;
    deadLetters += batch.deadLetters.length;
    bar.update(records);
  }
  bar.stop();
  const seconds = (systemClock.monotonicMs() - startedMs) / 1_000;
  process.stdout.write(
    `${records} records in ${seconds.toFixed(1)} s (${Math.round(records / seconds)} a second), ${deadLetters} could not be read\n`,
  );
  if (expected !== null) report(expected.result, expected.size);
}

async function collectExpected(job: CheckedJob, path: string, key: string): Promise<ExpectedValues> {
  const keyField = job.schema.field(key);
  if (keyField === undefined)
    throw new SluiceError('KEY_FIELD_UNKNOWN', `--key must be a field of the job's records; got "${key}"`);
  const columns: readonly FeatureColumn[] = modelColumns(job.features);
  const fields = columns.map(({ name }): Field => ({ name, type: 'double', presence: 'optional' }));
  const expected = new ExpectedValues(key, columns);
  for await (const [keys, ...values] of readParquetTable(path, new Schema([keyField, ...fields]))) {
    if (keys !== undefined) expected.collect(keys, values);
  }
  return expected;
}

function report({ rows, columns, mismatches, missing, differences }: Comparison, size: number): void {
  for (const { key, column, expected, got } of differences) {
    process.stdout.write(`record ${key}: ${column} must be ${expected}; got ${got}\n`);
  }
  if (mismatches > differences.length) process.stdout.write(`… and ${mismatches - differences.length} more\n`);
  if (missing > 0) process.stdout.write(`${missing} of ${size} expected records never came\n`);
  process.stdout.write(`${JSON.stringify({ rows, columns, mismatches, missing })}\n`);
  if (mismatches > 0 || missing > 0) process.exitCode = 1;
}
