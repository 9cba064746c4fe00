import { Option, type Command } from 'commander';
import pc from 'picocolors';
import { SluiceError } from '../../engine/error.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { modelColumns } from '../../features/model-input.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { openEmbeddedRegistry } from '../../jobs/runtime/embedded-registry.ts';
import { fileKind, openDecoder, openFileSource, openTopicSource } from '../../jobs/runtime/open-source.ts';
import type { ReplayInput } from '../../jobs/runtime/replay-features.ts';
import { trainModel } from '../../jobs/runtime/train-model.ts';
import type { ThresholdPolicy } from '../../learning/evaluation/choose-threshold.ts';
import { ModelRegistry } from '../../learning/registry/model-registry.ts';
import { SimulatedSource } from '../../simulation/stream/transaction-source.ts';
import { dataDirectory, type DirectoryOption } from '../data-directory.ts';
import { loadCheckedJob } from '../load-checked-job.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';
import { stopSignal } from '../stop-signal.ts';
import { wholeNumber } from '../whole-number.ts';

const dayMs = 86_400_000;

interface TrainOptions extends DirectoryOption, ModelsOption {
  readonly name: string;
  readonly from?: string;
  readonly simulate?: number;
  readonly seed: number;
  readonly label: string;
  readonly amount: string;
  readonly inputs?: string;
  readonly start: string;
  readonly end: string;
  readonly validateDays: number;
  readonly labelDelayDays: number;
  readonly trees: number;
  readonly depth: number;
  readonly cardsPerDay?: number;
  readonly promote?: true;
}

/** `sluice train`: a model from replayed features, into the registry. */
export function addTrainCommand(program: Command): void {
  program
    .command('train')
    .description("train a model on a job's features over the past, and put it into the registry")
    .argument('<job>', 'job file')
    .requiredOption(
      '--start <instant>',
      'first event time to train on, as 2026-02-01; records before it fill the windows',
    )
    .requiredOption('--end <instant>', 'event time that the rows end before')
    .option('--name <model>', 'the model in the registry', 'fraud')
    .option('--from <file>', 'replay this file (Parquet, CSV, JSON lines)')
    .option('--simulate <days>', 'replay a simulated stream of this many days', wholeNumber)
    .option('--seed <n>', 'seed of the simulated stream', wholeNumber, 1)
    .option('--label <column>', 'what to learn', 'is_fraud')
    .option('--amount <column>', 'what a record is about, in money', 'amount')
    .option(
      '--inputs <names>',
      'what the model is given, comma-separated; the amount and all numeric features if not said',
    )
    .option('--validate-days <n>', 'days at the end for threshold and metrics', wholeNumber, 7)
    .option('--label-delay-days <n>', 'days between training and validation', wholeNumber, 7)
    .option('--trees <n>', 'trees at most', wholeNumber, 150)
    .option('--depth <n>', 'depth of a tree', wholeNumber, 4)
    .addOption(
      new Option('--cards-per-day <n>', 'choose the threshold by capacity instead of F1').argParser(wholeNumber),
    )
    .option('--promote', 'make it the champion')
    .option(...dataDirectory)
    .option(...modelsDirectory)
    .action(async (path: string, options: TrainOptions) => train(await loadCheckedJob(path), options));
}

async function train(job: CheckedJob, options: TrainOptions): Promise<void> {
  const { signal } = stopSignal();
  const { label, amount, name } = options;
  const inputs = options.inputs?.split(',') ?? [amount, ...modelColumns(job.features).map((column) => column.name)];
  const threshold: ThresholdPolicy =
    options.cardsPerDay === undefined
      ? { kind: 'f-beta', beta: 1 }
      : { kind: 'capacity', cardsPerDay: options.cardsPerDay };
  const plan = {
    job,
    name,
    inputs,
    label,
    amount,
    fromMs: instantOf('--start', options.start),
    toMs: instantOf('--end', options.end),
    validateDays: options.validateDays,
    labelDelayDays: options.labelDelayDays,
    params: { treeCount: options.trees, maxDepth: options.depth, learningRate: 0.05, l2: 10 },
    threshold,
    createdAt: new Date(systemClock.nowMs()).toISOString(),
  };
  await using storage = options.from === undefined && options.simulate === undefined ? await openLog(options) : null;
  const startedMs = systemClock.monotonicMs();
  const { draft, model } = await trainModel(plan, await openInput(job, options, storage), signal, {
    onTree: ({ treeCount, treeLimit }) => {
      if (process.stderr.isTTY) process.stderr.write(`\rtree ${treeCount} of ${treeLimit}`);
    },
  });
  if (process.stderr.isTTY) process.stderr.write('\r');
  const registry = new ModelRegistry(options.models);
  const manifest = await registry.publish(draft, model);
  if (options.promote === true) await registry.promote(name, manifest.version);
  const seconds = ((systemClock.monotonicMs() - startedMs) / 1_000).toFixed(1);
  process.stdout.write(
    `${pc.green('trained')} ${name}@${manifest.version} on ${manifest.trainedOn.rowCount} records (${manifest.trainedOn.positiveCount} positive) in ${seconds} s\n`,
  );
  process.stdout.write(
    `${JSON.stringify({ model: `${name}@${manifest.version}`, digest: manifest.modelDigest, threshold: manifest.threshold.value, ...manifest.metrics })}\n`,
  );
}

function instantOf(option: string, text: string): number {
  const timeMs = Date.parse(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00Z` : text);
  if (Number.isNaN(timeMs))
    throw new SluiceError('OPTION_INVALID', `${option} must be an instant such as 2026-02-01; got "${text}"`);
  return timeMs;
}

function openLog({ dir }: TrainOptions): Promise<Storage> {
  return Storage.open({ directory: dir, access: 'read', clock: systemClock });
}

async function openInput(job: CheckedJob, options: TrainOptions, storage: Storage | null): Promise<ReplayInput> {
  const { from, simulate, seed } = options;
  if (from !== undefined)
    return { source: await openFileSource(job, { kind: fileKind(from), path: from }), decoder: null };
  if (simulate !== undefined) {
    const startMs = instantOf('--end', options.end) - simulate * dayMs;
    return { source: new SimulatedSource({ world: { seed, startMs }, days: simulate }), decoder: null };
  }
  const { source } = job;
  if (source.kind !== 'topic' || storage === null) {
    throw new SluiceError(
      'OPTION_MISSING',
      `train must be told what to replay: --from FILE or --simulate DAYS; the source of ${job.name} is no topic`,
    );
  }
  const { schema } = job;
  const decoder = openDecoder({ schema, source }, openEmbeddedRegistry(options.dir, systemClock));
  return { source: openTopicSource(storage, source.topic), decoder };
}
