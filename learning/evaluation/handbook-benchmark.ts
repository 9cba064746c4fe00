import { predictMargins } from '../ensemble/predict.ts';
import { trainTrees } from '../trainer/train.ts';
import { positiveCountOf, selectRows, type TrainingMatrix } from '../trainer/training-matrix.ts';
import type { TrainingParamsInput } from '../trainer/training-params.ts';
import { aucRoc } from './auc-roc.ts';
import { averagePrecision } from './average-precision.ts';
import { cardPrecision } from './card-precision.ts';
import { dayNumber, prequentialPlans, splitWeek, type WeekPlan } from './protocol.ts';

/** The Handbook's stream with the features of one feature set, in columns of one length, in arrival order. */
export interface HandbookFeatures {
  readonly eventTimeMs: ArrayLike<number>;
  readonly customerId: ArrayLike<number>;
  /** 1 for fraud, else 0. */
  readonly fraud: ArrayLike<number>;
  /** Features by name, in the model's order, defaults already applied; NaN is missing. */
  readonly features: ReadonlyMap<string, Float64Array | Float32Array>;
}

/** The three figures of the published tables. */
export interface HandbookFigures {
  readonly aucRoc: number;
  readonly averagePrecision: number;
  readonly cardPrecision100: number;
}

/** One training and test. */
export interface HandbookFold extends HandbookFigures {
  /** First day of the protocol's training week, as `2018-07-25`. */
  readonly trainWeekStart: string;
  readonly trainRows: number;
  readonly trainFrauds: number;
  readonly testRows: number;
  readonly testFrauds: number;
}

/** Folds with their mean and (population) standard deviation, as the published tables give them. */
export interface HandbookSeries {
  readonly folds: readonly HandbookFold[];
  readonly mean: HandbookFigures;
  readonly deviation: HandbookFigures;
}

/** How to run the benchmark. */
export interface HandbookOptions {
  /** The trainer's parameters; its defaults were chosen on the validation folds (docs/benchmarks/handbook.md). */
  readonly params?: TrainingParamsInput;
  /** Mature days to train on: 28 unless told; 7 is the published protocol. */
  readonly trainDays?: number;
  /** Called before each training, for a progress line. */
  readonly onFold?: (series: HandbookSeriesName, trainWeekStart: string) => void;
}

/** `baseline`: the published single week. `prequential`: the four test folds. `validation`: the four folds to choose parameters on. */
export type HandbookSeriesName = 'baseline' | 'prequential' | 'validation';

const dayMs = 86_400_000;
const lookedAtCards = 100;

/** Each series' latest training week and number of folds. */
const seriesOf: Readonly<Record<HandbookSeriesName, { lastTrainWeek: string; foldCount: number }>> = {
  baseline: { lastTrainWeek: '2018-07-25', foldCount: 1 },
  prequential: { lastTrainWeek: '2018-08-15', foldCount: 4 },
  validation: { lastTrainWeek: '2018-07-11', foldCount: 4 },
};

/**
 * Runs one series of the Handbook's protocol (fraud benchmark of Le Borgne, Siblini, Lebichot and Bontempi): for each fold trains on the mature days,
 * tests on the week after the delay, and gives the figures that the book publishes. The command that prints them, and the tests
 * that hold them, call it. Trains in this thread, a few seconds a fold.
 *
 * @throws {SluiceError} what the trainer throws.
 */
export function runHandbookBenchmark(
  stream: HandbookFeatures,
  series: HandbookSeriesName,
  options: HandbookOptions = {},
): HandbookSeries {
  const { lastTrainWeek, foldCount } = seriesOf[series];
  const rows = matrixOf(stream);
  const lastTrainWeekStart = dayNumber(Date.parse(`${lastTrainWeek}T00:00:00Z`));
  const plans = prequentialPlans(lastTrainWeekStart, foldCount, options.trainDays ?? 28);
  const folds = plans.map((plan) => {
    options.onFold?.(series, dateOf(plan.trainWeekStart));
    return runFold(rows, plan, options.params ?? {});
  });
  const mean = perFigure((figure) => meanOf(folds.map((fold) => fold[figure])));
  const deviation = perFigure((figure) => Math.sqrt(meanOf(folds.map((fold) => (fold[figure] - mean[figure]) ** 2))));
  return { folds, mean, deviation };
}

interface BenchmarkRows {
  readonly matrix: TrainingMatrix;
  readonly days: Int32Array;
  readonly cards: Uint32Array;
}

function matrixOf({ eventTimeMs, customerId, fraud, features }: HandbookFeatures): BenchmarkRows {
  const columns = [...features.values()].map((values) => Float32Array.from(values));
  return {
    matrix: { rowCount: fraud.length, featureNames: [...features.keys()], columns, labels: Uint8Array.from(fraud) },
    days: Int32Array.from(eventTimeMs, dayNumber),
    cards: Uint32Array.from(customerId),
  };
}

function runFold({ matrix, days, cards }: BenchmarkRows, plan: WeekPlan, params: TrainingParamsInput): HandbookFold {
  const { train, test } = splitWeek({ days, cards, labels: matrix.labels }, plan);
  const trainMatrix = selectRows(matrix, train);
  const { ensemble } = trainTrees(trainMatrix, { params });
  const { columns, labels } = selectRows(matrix, test);
  const scores = predictMargins(ensemble, columns, test.length);
  const scored = { days: test.map((row) => days[row] as number), cards: test.map((row) => cards[row] as number) };
  return {
    trainWeekStart: dateOf(plan.trainWeekStart),
    trainRows: train.length,
    trainFrauds: positiveCountOf(trainMatrix.labels),
    testRows: test.length,
    testFrauds: positiveCountOf(labels),
    aucRoc: aucRoc(scores, labels),
    averagePrecision: averagePrecision(scores, labels),
    cardPrecision100: cardPrecision({ ...scored, days: Int32Array.from(scored.days), scores, labels }, lookedAtCards),
  };
}

function dateOf(day: number): string {
  return new Date(day * dayMs).toISOString().slice(0, 10);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function perFigure(of: (figure: keyof HandbookFigures) => number): HandbookFigures {
  return {
    aucRoc: of('aucRoc'),
    averagePrecision: of('averagePrecision'),
    cardPrecision100: of('cardPrecision100'),
  };
}
