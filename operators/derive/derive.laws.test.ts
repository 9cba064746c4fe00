import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { Schema } from '../../engine/record/schema.ts';
import { describeLaws } from '../testing/laws.ts';
import { derive, derivedSchema } from './derive.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);
const half = { name: 'half', expression: compileExpression('amount / 2', schema) };
const columns = [
  half,
  { name: 'large', expression: compileExpression('half > 3 || flagged', derivedSchema([half], schema)) },
];

describeLaws('derive', () => ({
  schema,
  key: [],
  delayMs: 20,
  arrivalOrder: 'does not matter',
  open: () => ({ steps: [{ operator: derive(columns, schema), fate: 'keeps' }], logics: [] }),
}));
