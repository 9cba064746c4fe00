import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { FeatureStep } from '../../features/feature-plan.ts';
import type { WindowDefinition } from '../../operators/window/window-definition.ts';

/** A job's windows after every check: what the operator is made of, and what comes before and after it. Frozen. */
export interface WindowPlan {
  /** What comes before the operator: arguments that are expressions are derived. */
  readonly steps: readonly FeatureStep[];
  /** The schema of the records that the operator is given. */
  readonly inputSchema: Schema;
  readonly definition: WindowDefinition;
  /** Of its results. */
  readonly outputSchema: Schema;
  /** Only results for which it is true are published; `null`: all. */
  readonly having: CompiledExpression | null;
}

/** For how long a window may take records in, by event time and behind its beginning. A session's records, and those of a count, may be any time apart. */
export function windowReachMs({ window, allowedLatenessMs }: WindowDefinition): number {
  switch (window.kind) {
    case 'tumbling':
    case 'hopping':
      return window.sizeMs + allowedLatenessMs;
    case 'session':
      return window.gapMs + allowedLatenessMs;
    case 'count':
      return 0;
  }
}
