import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { ExplodeDefinition } from '../../operators/select/explode.ts';

/** What is done with a job's records before anything else sees them, after every check. Frozen. */
export interface RecordsPlan {
  /** Only records for which it is true go on; `null`: all. */
  readonly where: CompiledExpression | null;
  /** Records are made of the items of a list; `null`: of nothing. */
  readonly explode: ExplodeDefinition | null;
  /** Of what comes out. */
  readonly outputSchema: Schema;
}
