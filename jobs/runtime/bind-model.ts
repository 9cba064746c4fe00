import { SluiceError } from '../../engine/error.ts';
import type { Scorer } from '../../engine/model/scorer.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import { featureDigest } from '../../features/feature-digest.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import type { ModelInput } from '../../operators/score/score.ts';
import type { AlertExplainer } from './explain-alerts.ts';
import type { PredictionModel } from './prediction-fields.ts';

/** A model ready to score a job's records. */
export interface BoundModel {
  readonly identity: PredictionModel;
  readonly scorer: Scorer;
  readonly inputs: readonly ModelInput[];
  readonly threshold: number;
  /** `null` for a job that asks for no reasons. */
  readonly explain: AlertExplainer | null;
}

/** What a model's manifest says of the features that it was trained on. */
export interface ModelFeatures {
  /** `name@version`, for errors. */
  readonly model: string;
  /** In the model's order. */
  readonly features: readonly string[];
  readonly featureSetDigest: string;
}

/**
 * Checks that a job's features are those that a model was trained on, in words, before anything starts: each is there, is a number, and is computed in the
 * same way (by digest over the declarations and everything under them).
 *
 * @returns for each feature, in the model's order, the column and what stands for null.
 * @throws {SluiceError} `MODEL_FEATURES_MISMATCH`.
 */
export function bindFeatures(
  plan: FeaturePlan,
  { model, features, featureSetDigest }: ModelFeatures,
): readonly ModelInput[] {
  const refuse = (difference: string): SluiceError =>
    new SluiceError(
      'MODEL_FEATURES_MISMATCH',
      `model ${model} must be given the features that it was trained on; ${difference}: train a model on this job's features, or declare the ones that it knows`,
      { fields: { model } },
    );
  const names = plan.outputSchema.fields.map(({ name }) => name);
  const inputs = features.map((name): ModelInput => {
    const field = plan.outputSchema.field(name);
    if (field === undefined) {
      const nearest = nearestName(name, names);
      throw refuse(`the job has no feature "${name}"${nearest === null ? '' : ` (the nearest is "${nearest}")`}`);
    }
    if (field.type === 'string') throw refuse(`the job's "${name}" is a string`);
    const whenNull = plan.columns.find((column) => column.name === name)?.default ?? NaN;
    return { column: name, whenNull };
  });
  const digest = featureDigest(plan, features);
  if (digest !== featureSetDigest) {
    throw refuse(
      `the job declares features of the same names, computed otherwise (digest ${digest.slice(0, 12)}, the model's ${featureSetDigest.slice(0, 12)})`,
    );
  }
  return inputs;
}
