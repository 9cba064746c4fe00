import { SluiceError } from '../../engine/error.ts';
import { addTreeMargins, logistic } from '../ensemble/predict.ts';
import { firstTrees, type TreeEnsemble } from '../ensemble/tree-ensemble.ts';
import { TreeNodes } from '../ensemble/tree-nodes.ts';
import { averagePrecision } from '../evaluation/average-precision.ts';
import { logLoss } from '../evaluation/log-loss.ts';
import { binMatrix } from './binned-matrix.ts';
import { SeededRandom } from './seeded-random.ts';
import { checkTrainingMatrix, type TrainingMatrix } from './training-matrix.ts';
import { readTrainingParams, type TrainingParams, type TrainingParamsInput } from './training-params.ts';
import { TreeGrower } from './tree-grower.ts';

/** What the trainer says after each tree. */
export interface TrainingProgress {
  /** Trees grown so far. */
  readonly treeCount: number;
  /** Trees that will be grown unless early stopping ends it. */
  readonly treeLimit: number;
  /** The early-stopping metric on the validation rows with these trees, where there are any. */
  readonly validationScore?: number;
}

/** A finished training. */
export interface TrainedTrees {
  readonly ensemble: TreeEnsemble;
  /** Parameters with defaults filled in, as the manifest keeps them. */
  readonly params: TrainingParams;
  /** Each feature's share of all gain, in feature order; sums to 1 unless no tree could split. */
  readonly importances: readonly number[];
  /** The early-stopping metric after each tree grown, the discarded ones included; empty without early stopping. */
  readonly validationScores: readonly number[];
}

/** What a training may be given beside its rows. */
export interface TrainingOptions {
  readonly params?: TrainingParamsInput;
  /** Rows of a later time than the training rows; needed for early stopping and used for nothing else. */
  readonly validation?: TrainingMatrix;
  /** Called after each tree, in this thread. Throwing from it ends the training. */
  readonly onTree?: (progress: TrainingProgress) => void;
}

/**
 * Trains gradient-boosted trees on the logistic loss (Friedman 2001, with second-order steps after Chen and Guestrin 2016, over
 * histograms). Synchronous and as long as the data are: call it through `trainInWorker` from anything that has other work.
 *
 * Deterministic: the same rows in the same order and the same parameters give the same trees to the last bit, on any machine.
 *
 * @throws {SluiceError} `TRAINING_MATRIX_INVALID`, `TRAINING_ONE_CLASS`, `TRAINING_PARAMS_INVALID`; `TRAINING_VALIDATION_MISSING`
 * where early stopping is asked for without validation rows.
 */
export function trainTrees(matrix: TrainingMatrix, options: TrainingOptions = {}): TrainedTrees {
  const params = readTrainingParams(options.params ?? {});
  checkTrainingMatrix(matrix);
  const validation = checkedValidation(matrix, params, options.validation);
  const random = new SeededRandom(params.seed);
  const binned = binMatrix(matrix, params.maxBins, random);
  const nodes = new TreeNodes();
  const grower = new TreeGrower(binned, params, nodes);
  const rowWeights = effectiveWeights(matrix, params.positiveWeight);
  const baseScore = Math.fround(weightedLogOdds(matrix.labels, rowWeights));
  const margins = new Float32Array(matrix.rowCount).fill(baseScore);
  const gradients = new Float64Array(2 * matrix.rowCount);
  const validationMargins = new Float32Array(validation?.rowCount ?? 0).fill(baseScore);
  const validationScores: number[] = [];
  let bestTreeCount = 0;

  for (let tree = 0; tree < params.treeCount; tree++) {
    fillGradients(gradients, margins, matrix.labels, rowWeights);
    const rows = sampleRows(matrix.rowCount, params.rowSample, random);
    const features = random.sample(binned.featureCount, Math.ceil(params.columnSample * binned.featureCount));
    const leaves = grower.grow(rows, gradients, features);
    const grown = nodes.view(matrix.featureNames, baseScore);
    if (rows.length === matrix.rowCount) {
      for (const leaf of leaves) addToRows(margins, rows, leaf.begin, leaf.end, leaf.value);
    } else {
      addTreeMargins(grown, matrix.columns, { first: tree, end: tree + 1 }, margins);
    }
    const treeCount = tree + 1;
    const progress = { treeCount, treeLimit: params.treeCount };
    if (validation === undefined || params.earlyStopping === undefined) {
      bestTreeCount = treeCount;
      options.onTree?.(progress);
      continue;
    }
    addTreeMargins(grown, validation.columns, { first: tree, end: treeCount }, validationMargins);
    const validationScore = scoreOf(params.earlyStopping.metric, validationMargins, validation.labels);
    validationScores.push(validationScore);
    const best = validationScores[bestTreeCount - 1];
    if (best === undefined || isBetter(params.earlyStopping.metric, validationScore, best)) bestTreeCount = treeCount;
    options.onTree?.({ ...progress, validationScore });
    if (treeCount - bestTreeCount >= params.earlyStopping.patienceTrees) break;
  }

  const ensemble = firstTrees(nodes.view(matrix.featureNames, baseScore), bestTreeCount);
  const totalGain = grower.gainByFeature.reduce((sum, gain) => sum + gain, 0);
  const importances = Array.from(grower.gainByFeature, (gain) => (totalGain > 0 ? gain / totalGain : 0));
  return { ensemble, params, importances, validationScores };
}

function checkedValidation(
  matrix: TrainingMatrix,
  params: TrainingParams,
  validation: TrainingMatrix | undefined,
): TrainingMatrix | undefined {
  if (params.earlyStopping === undefined) return undefined;
  if (validation === undefined) {
    throw new SluiceError(
      'TRAINING_VALIDATION_MISSING',
      'early stopping must have validation rows to stop by; got none; give a validation range or leave out earlyStopping',
    );
  }
  checkTrainingMatrix(validation);
  if (validation.featureNames.join('\n') !== matrix.featureNames.join('\n')) {
    throw new SluiceError(
      'TRAINING_MATRIX_INVALID',
      'validation rows must have the features of the training rows in the same order; got other names',
    );
  }
  return validation;
}

/** Class weight times row weight, one a row; undefined where every row weighs 1, which is the usual case and spares a column. */
function effectiveWeights(
  matrix: TrainingMatrix,
  positiveWeight: TrainingParams['positiveWeight'],
): Float64Array | undefined {
  const { labels, weights } = matrix;
  const forPositives = positiveWeight === 'balanced' ? balancingWeight(labels, weights) : positiveWeight;
  if (forPositives === 1) return weights;
  const effective = weights?.slice() ?? new Float64Array(labels.length).fill(1);
  for (let row = 0; row < labels.length; row++) {
    if (labels[row] === 1) effective[row] = (effective[row] as number) * forPositives;
  }
  return effective;
}

function balancingWeight(labels: Uint8Array, weights: Float64Array | undefined): number {
  const { positive, negative } = classWeights(labels, weights);
  return negative / positive;
}

function classWeights(labels: Uint8Array, weights: Float64Array | undefined): { positive: number; negative: number } {
  let positive = 0;
  let negative = 0;
  for (let row = 0; row < labels.length; row++) {
    const weight = weights === undefined ? 1 : (weights[row] as number);
    if (labels[row] === 1) positive += weight;
    else negative += weight;
  }
  return { positive, negative };
}

function weightedLogOdds(labels: Uint8Array, weights: Float64Array | undefined): number {
  const { positive, negative } = classWeights(labels, weights);
  return Math.log(positive / negative);
}

function fillGradients(
  gradients: Float64Array,
  margins: Float32Array,
  labels: Uint8Array,
  weights: Float64Array | undefined,
): void {
  for (let row = 0; row < margins.length; row++) {
    const probability = logistic(margins[row] as number);
    const weight = weights === undefined ? 1 : (weights[row] as number);
    gradients[2 * row] = weight * (probability - (labels[row] as number));
    gradients[2 * row + 1] = weight * probability * (1 - probability);
  }
}

/** Each row with the given chance, in order; every row, without drawing, where the share is 1. */
function sampleRows(rowCount: number, share: number, random: SeededRandom): Uint32Array {
  const rows = new Uint32Array(rowCount);
  if (share === 1) {
    for (let row = 0; row < rowCount; row++) rows[row] = row;
    return rows;
  }
  let count = 0;
  for (let row = 0; row < rowCount; row++) {
    if (random.nextUnit() < share) rows[count++] = row;
  }
  return rows.slice(0, count);
}

function addToRows(margins: Float32Array, rows: Uint32Array, begin: number, end: number, value: number): void {
  for (let i = begin; i < end; i++) {
    const row = rows[i] as number;
    margins[row] = (margins[row] as number) + value;
  }
}

type StoppingMetric = 'average-precision' | 'log-loss';

function scoreOf(metric: StoppingMetric, margins: Float32Array, labels: Uint8Array): number {
  // The logistic function keeps the order, so average precision needs no probabilities.
  return metric === 'average-precision' ? averagePrecision(margins, labels) : logLoss(margins.map(logistic), labels);
}

function isBetter(metric: StoppingMetric, score: number, best: number): boolean {
  return metric === 'average-precision' ? score > best : score < best;
}
