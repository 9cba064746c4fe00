import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { Schema } from '../../engine/record/schema.ts';
import { describeLaws } from '../testing/laws.ts';
import { filter } from './filter.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);

describeLaws('filter', () => ({
  schema,
  key: [],
  delayMs: 20,
  arrivalOrder: 'does not matter',
  open: () => ({
    steps: [{ operator: filter(compileExpression("amount > 2 && card != 'card 1'", schema)), fate: 'filtered' }],
    logics: [],
  }),
}));
