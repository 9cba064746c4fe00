import type { CheckedJob } from '../checked-job.ts';
import { describeJob, type GivenInput } from './describe-job.ts';
import { explainMermaid } from './explain-mermaid.ts';
import { explainText } from './explain-text.ts';

/** How a plan is shown: to a person, as a flowchart, to a program. */
export type ExplainFormat = 'text' | 'mermaid' | 'json';

/**
 * Shows what a job will do, without doing any of it. Called by `sluice explain`.
 *
 * @param inputs what the job's model is given, in its order, as `bindFeatures` gives it; without a model at hand, what the features offer is shown.
 * @returns text without a line feed at its end.
 */
export function explainJob(
  job: CheckedJob,
  format: ExplainFormat,
  inputs: readonly GivenInput[] | null = null,
): string {
  const description = describeJob(job, inputs);
  switch (format) {
    case 'text':
      return explainText(description);
    case 'mermaid':
      return explainMermaid(description);
    case 'json':
      return JSON.stringify(description, null, 2);
  }
}
