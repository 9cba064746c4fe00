import type { AmendDefinition } from '../../operators/amend/amend-definition.ts';
import type { MessageFormat } from './source-definition.ts';

/** A job's amendments after every check. Frozen. */
export interface AmendPlan {
  /** Where they go. */
  readonly topic: string;
  readonly format: MessageFormat;
  readonly definition: AmendDefinition;
  /** Whether the job's model scores the features before and after. */
  readonly scores: 'before and after' | 'none';
}
