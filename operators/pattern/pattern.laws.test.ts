import { describe } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { compileExpression } from '../../engine/expression/compile-expression.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { describeLaws } from '../testing/laws.ts';
import { sampledSchema } from '../testing/sampled-streams.ts';
import { expressionRules, pairSchema } from './expression-rules.ts';
import { PatternLogic } from './pattern-logic.ts';

const pairs = pairSchema(sampledSchema);
const rules = expressionRules(
  {
    first: compileExpression('amount < 12', sampledSchema),
    followedBy: compileExpression('amount > first.amount', pairs),
    select: ['card', 'first.place', 'place'].map((name) => ({ name, expression: compileExpression(name, pairs) })),
  },
  sampledSchema,
);
const definition = {
  operatorId: 'laws',
  key: ['card'],
  withinMs: 70,
  delayMs: 20,
  errors: 'fail',
} as const;

// What a watermark makes them forget, no record in time could complete: so it is all one whose it is.
describe.each(['partition', 'query'] as const)('patterns', (closedBy) => {
  describeLaws(`pattern, by the watermark of the ${closedBy}`, () => ({
    schema: sampledSchema,
    key: ['card'],
    delayMs: 20,
    arrivalOrder: 'matters within a key',
    waitsFor: closedBy === 'query' ? 'all partitions' : 'its partition',
    open: (start, state) => {
      const logic = new PatternLogic({ ...definition, closedBy }, rules, start, new RejectedRecords('laws'));
      return { steps: [], emit: emitWith(logic, state), logics: [logic] };
    },
  }));
});
