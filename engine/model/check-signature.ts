import { SluiceError } from '../error.ts';
import type { ModelSignature, ModelTensor } from './scorer.ts';

/** How batches are handed to a model, decided once when it is loaded. */
export interface ModelBinding {
  /** `matrix`: one tensor `[rows, features]`. `columns`: one tensor `[rows, 1]` a feature, named as it. */
  readonly form: 'matrix' | 'columns';
  /** The inputs' names: one, or one a feature in the features' order. */
  readonly inputs: readonly string[];
  /** The output that holds the probabilities, and how many numbers it has a row: the last of them is the positive class. */
  readonly output: string;
  readonly outputWidth: 1 | 2;
}

/**
 * Checks, at plan time, that a model takes exactly these features, and says how.
 *
 * @param features names in the order in which the model was trained on them.
 * @throws {SluiceError} `MODEL_INPUT_MISMATCH` or `MODEL_OUTPUT_UNSUPPORTED`, naming what the model has and what it was given.
 */
export function bindModel(model: string, signature: ModelSignature, features: readonly string[]): ModelBinding {
  return { ...bindInputs(model, signature.inputs, features), ...bindOutput(model, signature.outputs) };
}

function describe({ name, type, shape }: ModelTensor): string {
  return `${name}: ${type ?? 'not a tensor'}[${shape.map((size) => size ?? 'rows').join(', ')}]`;
}

function bindInputs(
  model: string,
  inputs: readonly ModelTensor[],
  features: readonly string[],
): Pick<ModelBinding, 'form' | 'inputs'> {
  const [only] = inputs;
  if (only !== undefined && inputs.length === 1 && only.type === 'float32' && only.shape.length === 2) {
    const width = only.shape[1] ?? features.length;
    if (width === features.length) return { form: 'matrix', inputs: [only.name] };
    throw mismatch(model, `takes ${width} features`, `declares ${features.length} (${features.join(', ')})`);
  }
  const byName = new Map(inputs.map((input) => [input.name, input]));
  const missing = features.filter((feature) => !byName.has(feature));
  const extra = inputs.filter(({ name }) => !features.includes(name));
  if (missing.length > 0 || extra.length > 0) {
    throw mismatch(model, `takes ${inputs.map(describe).join(', ')}`, `declares ${features.join(', ')}`);
  }
  const unfit = inputs.find(({ type, shape }) => type !== 'float32' || shape.length !== 2 || (shape[1] ?? 1) !== 1);
  if (unfit !== undefined)
    throw mismatch(model, `has the input ${describe(unfit)}`, 'gives float32[rows, 1] for each feature');
  return { form: 'columns', inputs: features };
}

function mismatch(model: string, has: string, wanted: string): SluiceError {
  return new SluiceError(
    'MODEL_INPUT_MISMATCH',
    `model ${model} must take the features that its manifest lists; the file ${has}, the manifest ${wanted}: register the model again, or train it on this feature set`,
    { fields: { model } },
  );
}

function bindOutput(model: string, outputs: readonly ModelTensor[]): Pick<ModelBinding, 'output' | 'outputWidth'> {
  const fits = (tensor: ModelTensor): boolean => tensor.type === 'float32' && tensor.shape.length <= 2;
  const chosen = outputs.find((tensor) => fits(tensor) && /prob/i.test(tensor.name)) ?? outputs.find(fits);
  const width = chosen?.shape.length === 2 ? (chosen.shape[1] ?? 2) : 1;
  if (chosen === undefined || (width !== 1 && width !== 2)) {
    throw new SluiceError(
      'MODEL_OUTPUT_UNSUPPORTED',
      `model ${model} must give a float32 tensor of one or two probabilities a row; it gives ${outputs.map(describe).join(', ')}: export it without ZipMap`,
      { fields: { model } },
    );
  }
  return { output: chosen.name, outputWidth: width };
}
