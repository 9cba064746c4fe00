import { SluiceError } from '../../engine/error.ts';
import { OnnxScorer } from '../../engine/model/onnx-scorer.ts';
import type { TreeEnsemble } from '../../learning/ensemble/tree-ensemble.ts';
import { readTreeEnsemble } from '../../learning/onnx/read-tree-ensemble.ts';
import { ModelRegistry } from '../../learning/registry/model-registry.ts';
import type { CheckedJob } from '../checked-job.ts';
import { scoredSchema } from '../../operators/score/score.ts';
import { bindFeatures, type BoundModel } from './bind-model.ts';
import { explainAlerts } from './explain-alerts.ts';

/**
 * Loads the model that a job names and makes it ready to score: ⑥ on a record's way, checked before anything starts. Whoever calls disposes of the scorer.
 *
 * @param modelsDirectory the registry's.
 * @returns `null` for a job that does not score.
 * @throws {SluiceError} what the registry, the runtime and {@link bindFeatures} throw: a missing or damaged model, one for other features, one of another shape.
 */
export async function openModel(job: CheckedJob, modelsDirectory: string): Promise<BoundModel | null> {
  if (job.score === null) return null;
  const { manifest, bytes } = await new ModelRegistry(modelsDirectory).load(job.score.model);
  const name = `${manifest.name}@${manifest.version}`;
  const features = manifest.features.map((feature) => feature.name);
  const inputs = bindFeatures(job.features, { model: name, features, featureSetDigest: manifest.featureSetDigest });
  const explain =
    job.score.explain === 0
      ? null
      : explainAlerts({ name, bytes }, inputs, job.score.explain, scoredSchema(job.features.outputSchema));
  const scorer = await OnnxScorer.open({ name, bytes, features, trees: treesOf(bytes, name) });
  const threshold = job.score.threshold === 'model' ? manifest.threshold.value : job.score.threshold;
  const identity = {
    name: manifest.name,
    version: String(manifest.version),
    digest: manifest.modelDigest,
    featureSetDigest: manifest.featureSetDigest,
    threshold,
    features,
  };
  return { identity, scorer, inputs, threshold, explain };
}

/** The trees of a model that is made of them alone; `null` for another, which ONNX Runtime scores. */
function treesOf(bytes: Uint8Array, name: string): TreeEnsemble | null {
  try {
    return readTreeEnsemble(bytes, name);
  } catch (thrown) {
    if (thrown instanceof SluiceError && thrown.code === 'MODEL_NOT_TREES') return null;
    throw thrown;
  }
}
