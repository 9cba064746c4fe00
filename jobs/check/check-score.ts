import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { PlanDocument } from '../../engine/plan/plan-document.ts';
import { SluiceError } from '../../engine/error.ts';
import { modelAliases, parseModelReference } from '../../learning/registry/model-reference.ts';
import type { ScoreDefinition } from '../checked-job.ts';
import type { JobFiles } from '../job-files.ts';
import type { ScorePart } from '../job-file.ts';

/** Checks how records are scored. Whether the model exists, and knows these features, is checked when it is opened. */
export function checkScore(
  document: PlanDocument,
  score: ScorePart | undefined,
  files: JobFiles,
): ScoreDefinition | null {
  if (score === undefined) return null;
  const { model, threshold = 'model', explain = 0 } = score;
  try {
    parseModelReference(model);
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    const [name = '', version = ''] = model.split('@');
    const alias = nearestName(version, modelAliases);
    files.diagnostics.push(
      document.atValue(['score', 'model'], {
        code: 'VALUE_WRONG',
        message: `"${model}" names no model`,
        expected: `a name and a version or alias, such as fraud@3, fraud@${modelAliases.join(', fraud@')}`,
        nearest: alias === null ? null : `${name}@${alias}`,
      }),
    );
  }
  return { model, shadow: null, threshold, explain };
}
