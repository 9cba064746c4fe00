import type { Schema } from '../engine/record/schema.ts';
import { scoredSchema } from '../operators/score/score.ts';
import type { CheckedJob } from './checked-job.ts';
import { explainedSchema } from './runtime/explain-alerts.ts';

/** The schema of the records that a job publishes: results of its windows or its pattern, or its records with their features and scores. */
export function resultSchemaOf({
  windows,
  pattern,
  features,
  score,
}: Pick<CheckedJob, 'windows' | 'pattern' | 'features' | 'score'>): Schema {
  if (windows !== null) return windows.outputSchema;
  if (pattern !== null) return pattern.outputSchema;
  if (score === null) return features.outputSchema;
  const scored = scoredSchema(features.outputSchema);
  return score.explain === 0 ? scored : explainedSchema(scored);
}
