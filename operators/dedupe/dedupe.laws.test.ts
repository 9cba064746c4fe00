import { Schema } from '../../engine/record/schema.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import { describeLaws } from '../testing/laws.ts';
import { DedupeLogic } from './dedupe-logic.ts';

const schema = new Schema([
  { name: 'id', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);

describeLaws('dedupe', () => ({
  schema,
  key: ['id'],
  delayMs: 20,
  arrivalOrder: 'matters within a key',
  open: (start, state) => {
    const logic = new DedupeLogic({ operatorId: 'laws', by: ['id'], withinMs: 100 }, start);
    return { steps: [{ operator: applyLogic(logic, state), fate: 'duplicate' }], logics: [logic] };
  },
}));
