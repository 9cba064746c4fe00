import type { Schema } from '../../engine/record/schema.ts';
import type { ExpressionRules } from '../../operators/pattern/expression-rules.ts';
import type { PatternDefinition } from '../../operators/pattern/pattern-definition.ts';
import type { SessioniseDefinition } from '../../operators/sessionise/session-logic.ts';

/** A job's sessions after every check. Frozen. */
export interface SessionsPlan {
  readonly definition: SessioniseDefinition;
  /** Of the records that the rest of the job sees: the source's fields, and the session's. */
  readonly outputSchema: Schema;
}

/** A job's pattern after every check. Frozen. */
export interface PatternPlan {
  readonly definition: PatternDefinition;
  /** The key's fields come first in what is selected. */
  readonly rules: ExpressionRules;
  /** Of the records that the operator is given. */
  readonly inputSchema: Schema;
  /** Of its results. */
  readonly outputSchema: Schema;
}
