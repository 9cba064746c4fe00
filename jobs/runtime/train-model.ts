import { SluiceError } from '../../engine/error.ts';
import { featureDigest } from '../../features/feature-digest.ts';
import { predictMargins, predictProbabilities } from '../../learning/ensemble/predict.ts';
import { aucRoc } from '../../learning/evaluation/auc-roc.ts';
import { averagePrecision } from '../../learning/evaluation/average-precision.ts';
import { cardPrecision } from '../../learning/evaluation/card-precision.ts';
import { chooseThreshold, type ThresholdPolicy } from '../../learning/evaluation/choose-threshold.ts';
import { confusionAt } from '../../learning/evaluation/confusion.ts';
import { fitPlatt, scaleEnsemble } from '../../learning/evaluation/platt.ts';
import { dayNumber } from '../../learning/evaluation/protocol.ts';
import { writeTreeEnsemble } from '../../learning/onnx/write-tree-ensemble.ts';
import type { ManifestDraft } from '../../learning/registry/model-registry.ts';
import type { RowRange } from '../../learning/registry/model-manifest.ts';
import { trainInWorker } from '../../learning/trainer/train-in-worker.ts';
import type { TrainingProgress } from '../../learning/trainer/train.ts';
import { positiveCountOf, selectRows, type TrainingMatrix } from '../../learning/trainer/training-matrix.ts';
import type { TrainingParamsInput } from '../../learning/trainer/training-params.ts';
import type { CheckedJob } from '../checked-job.ts';
import { FeatureRowsBuilder, inputsNamed, type FeatureRows } from './feature-rows.ts';
import { replayFeatures, type ReplayInput } from './replay-features.ts';

const dayMs = 86_400_000;
const lookedAtCards = 100;

/** What to train, and on which part of the log. */
export interface TrainingPlan {
  readonly job: CheckedJob;
  /** The model's name in the registry. */
  readonly name: string;
  /** In the model's order: numeric features and fields of the job. */
  readonly inputs: readonly string[];
  readonly label: string;
  readonly amount: string | null;
  /** Records before this event time only fill the windows. */
  readonly fromMs: number;
  /** Where the rows end. */
  readonly toMs: number;
  /** Days at the end that the model is not trained on: threshold and metrics come from them. */
  readonly validateDays: number;
  /** Days between the two, in which labels would not have been known yet. */
  readonly labelDelayDays: number;
  readonly params: TrainingParamsInput;
  readonly threshold: ThresholdPolicy;
  /** When the model is published, ISO 8601: the only wall-clock time in a manifest. */
  readonly createdAt: string;
}

/** Listeners for a screen. */
export interface TrainingListener {
  /** How many records were replayed so far. */
  onReplayed?(records: number): void;
  /** After each tree. */
  onTree?(progress: TrainingProgress): void;
}

/** A trained model, ready for the registry. */
export interface TrainedModel {
  readonly draft: ManifestDraft;
  readonly model: Uint8Array;
}

/**
 * Makes a model from the log: replays the job's features, cuts the rows by event time into training, embargo and validation, trains in a worker thread,
 * calibrates, chooses the threshold, and writes ONNX. The same log and plan give the same bytes.
 *
 *     fromMs                                       toMs
 *     | training … | labelDelayDays | validateDays |
 *
 * @throws {SluiceError} `TRAINING_RANGE_EMPTY`, and what the trainer and the source throw.
 */
export async function trainModel(
  plan: TrainingPlan,
  input: ReplayInput,
  signal: AbortSignal,
  listener: TrainingListener = {},
): Promise<TrainedModel> {
  const rows = await collectRows(plan, input, signal, listener);
  const validateFromMs = plan.toMs - plan.validateDays * dayMs;
  const trainToMs = validateFromMs - plan.labelDelayDays * dayMs;
  const matrix: TrainingMatrix = {
    rowCount: rows.rowCount,
    featureNames: plan.inputs,
    columns: rows.columns,
    labels: rows.labels,
  };
  const train = rowsWithin(rows, plan.fromMs, trainToMs);
  const validate = rowsWithin(rows, validateFromMs, plan.toMs);
  const trainMatrix = selectRows(matrix, train);
  const validateMatrix = selectRows(matrix, validate);
  const trained = await trainInWorker(trainMatrix, {
    params: plan.params,
    signal,
    onTree: (progress) => listener.onTree?.(progress),
  });
  const margins = predictMargins(trained.ensemble, validateMatrix.columns, validate.length);
  // Calibrated within the trees, so that whoever runs the file gets probabilities that mean what they say.
  const ensemble = scaleEnsemble(trained.ensemble, fitPlatt(margins, validateMatrix.labels));
  const scores = predictProbabilities(ensemble, validateMatrix.columns, validate.length);
  const scored = {
    days: Int32Array.from(validate, (row) => dayNumber(rows.eventTimesMs[row] ?? 0)),
    cards: validate.map((row) => rows.entities[row] ?? 0),
    amounts: Float64Array.from(validate, (row) => rows.amounts[row] ?? 0),
    scores,
    labels: validateMatrix.labels,
  };
  const value = chooseThreshold(plan.threshold, scored);
  const atThreshold = confusionAt(value, scores, scored.labels, scored.amounts);
  const metrics = {
    aucRoc: aucRoc(scores, scored.labels),
    averagePrecision: averagePrecision(scores, scored.labels),
    cardPrecision100: cardPrecision(scored, lookedAtCards),
    precision: atThreshold.precision,
    recall: atThreshold.recall,
    valueRecall: atThreshold.valueRecall,
  };
  const { columns } = plan.job.features;
  const draft: ManifestDraft = {
    name: plan.name,
    createdAt: plan.createdAt,
    trainedOn: rangeOf(trainMatrix, plan.fromMs, trainToMs),
    validatedOn: rangeOf(validateMatrix, validateFromMs, plan.toMs),
    features: plan.inputs.map((name) => ({
      name,
      default: columns.find((column) => column.name === name)?.default ?? null,
    })),
    featureSetDigest: featureDigest(plan.job.features, plan.inputs),
    metrics: Object.fromEntries(Object.entries(metrics).filter(([, figure]) => Number.isFinite(figure))),
    threshold: { value, policy: plan.threshold },
    trainer: {
      name: 'sluice-trees',
      params: JSON.parse(JSON.stringify(trained.params)) as ManifestDraft['trainer']['params'],
    },
  };
  return { draft, model: writeTreeEnsemble(ensemble) };
}

async function collectRows(
  plan: TrainingPlan,
  input: ReplayInput,
  signal: AbortSignal,
  listener: TrainingListener,
): Promise<FeatureRows> {
  const { job } = plan;
  const inputs = inputsNamed(plan.inputs, job.features.outputSchema, job.features.columns);
  const { key: entity } = job.source;
  const builder = new FeatureRowsBuilder({ inputs, label: plan.label, entity, amount: plan.amount }, plan);
  let replayed = 0;
  for await (const { records } of replayFeatures(job, input, signal)) {
    builder.add(records);
    replayed += records.rowCount;
    listener.onReplayed?.(replayed);
  }
  const rows = builder.build();
  if (rows.rowCount > 0) return rows;
  throw new SluiceError(
    'TRAINING_RANGE_EMPTY',
    `the training range must have labelled records; ${replayed} were replayed and none with "${plan.label}" lies from ${isoOf(plan.fromMs)} to ${isoOf(plan.toMs)}`,
  );
}

function rowsWithin({ rowCount, eventTimesMs }: FeatureRows, fromMs: number, toMs: number): Uint32Array {
  const rows: number[] = [];
  for (let row = 0; row < rowCount; row++) {
    const t = eventTimesMs[row] ?? NaN;
    if (t >= fromMs && t < toMs) rows.push(row);
  }
  return Uint32Array.from(rows);
}

function rangeOf({ rowCount, labels }: TrainingMatrix, fromMs: number, toMs: number): RowRange {
  return { from: isoOf(fromMs), to: isoOf(toMs), rowCount, positiveCount: positiveCountOf(labels) };
}

function isoOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
