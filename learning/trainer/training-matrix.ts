import { SluiceError } from '../../engine/error.ts';

/**
 * Labelled rows in columns: what a training set looks like to a trainer. The builder of the training set makes it, the trainer and
 * the evaluation read it; nobody changes it. May lie in shared memory, which spares the worker thread a copy.
 */
export interface TrainingMatrix {
  readonly rowCount: number;
  /** One name a column; this order is the model's input order. */
  readonly featureNames: readonly string[];
  /** One column a feature, `rowCount` long; NaN is a missing value, infinities are refused. */
  readonly columns: readonly Float32Array[];
  /** 1 for the class to be found (fraud), else 0. */
  readonly labels: Uint8Array;
  /** How much each row counts, positive; absent means 1 each. */
  readonly weights?: Float64Array;
}

/**
 * Refuses a matrix that cannot be trained on. The trainer calls it before anything else, since a wrong length read through a typed
 * array is no error in JavaScript but a NaN in the model.
 *
 * @throws {SluiceError} `TRAINING_MATRIX_INVALID` where lengths disagree, a label is neither 0 nor 1, a weight is not positive or a
 * value is infinite; `TRAINING_ONE_CLASS` where there is no positive or no negative row.
 */
export function checkTrainingMatrix(matrix: TrainingMatrix): void {
  const { rowCount, featureNames, columns, labels, weights } = matrix;
  if (columns.length !== featureNames.length || columns.length === 0) {
    refuse(`one column for each of the ${featureNames.length} feature names, at least one; got ${columns.length}`);
  }
  if (new Set(featureNames).size !== featureNames.length) refuse('feature names that differ from each other');
  if (labels.length !== rowCount) refuse(`${rowCount} labels; got ${labels.length}`);
  columns.forEach((column, index) => {
    const name = featureNames[index] ?? '';
    if (column.length !== rowCount) refuse(`${rowCount} values of "${name}"; got ${column.length}`);
    const infinite = column.findIndex((value) => value === Infinity || value === -Infinity);
    if (infinite >= 0) refuse(`finite or missing values of "${name}"; got an infinity in row ${infinite}`);
  });
  const wrongLabel = labels.findIndex((label) => label > 1);
  if (wrongLabel >= 0) refuse(`labels of 0 or 1; got ${labels[wrongLabel]} in row ${wrongLabel}`);
  if (weights !== undefined) {
    if (weights.length !== rowCount) refuse(`${rowCount} weights; got ${weights.length}`);
    const wrongWeight = weights.findIndex((weight) => !(weight > 0 && weight < Infinity));
    if (wrongWeight >= 0) refuse(`positive, finite weights; got ${weights[wrongWeight]} in row ${wrongWeight}`);
  }
  const positiveCount = positiveCountOf(labels);
  if (positiveCount === 0 || positiveCount === rowCount) {
    throw new SluiceError(
      'TRAINING_ONE_CLASS',
      `a training set must have rows of both classes; got ${positiveCount} positives in ${rowCount} rows; widen the training range`,
      { fields: { rowCount, positiveCount } },
    );
  }
}

/** How many labels are 1. */
export function positiveCountOf(labels: Uint8Array): number {
  let count = 0;
  for (const label of labels) count += label;
  return count;
}

/** The rows of a matrix at the given indexes, in that order, copied. Folds, time splits and bootstraps are made with it. */
export function selectRows(matrix: TrainingMatrix, rows: Uint32Array): TrainingMatrix {
  const picked: TrainingMatrix = {
    rowCount: rows.length,
    featureNames: matrix.featureNames,
    columns: matrix.columns.map((column) => gather(column, rows, new Float32Array(rows.length))),
    labels: gather(matrix.labels, rows, new Uint8Array(rows.length)),
  };
  if (matrix.weights === undefined) return picked;
  return { ...picked, weights: gather(matrix.weights, rows, new Float64Array(rows.length)) };
}

type NumberArray = Uint8Array | Float32Array | Float64Array;

function gather<A extends NumberArray>(from: A, rows: Uint32Array, into: A): A {
  for (let i = 0; i < rows.length; i++) into[i] = from[rows[i] as number] as number;
  return into;
}

function refuse(expected: string): never {
  throw new SluiceError('TRAINING_MATRIX_INVALID', `a training matrix must have ${expected}`);
}
