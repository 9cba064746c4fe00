import { Schema } from '../../engine/record/schema.ts';
import type { SectionStep } from '../../engine/execution/section.ts';
import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { inMemoryQuery, type QueryUnderTest } from '../../engine/testing/index.ts';
import { DedupeLogic } from '../../operators/dedupe/dedupe-logic.ts';
import type { RollingDefinition } from '../../operators/rolling/rolling-definition.ts';
import { RollingLogic } from '../../operators/rolling/rolling-logic.ts';
import { applyLogic } from '../../operators/stateful/apply-logic.ts';

const schema = new Schema([
  { name: 'id', type: 'string', presence: 'required' },
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
  { name: 'amount', type: 'double', presence: 'required' },
]);

const totals: RollingDefinition = {
  operatorId: 'card-totals',
  key: ['card'],
  aggregates: [
    {
      name: 'spent_1h',
      function: 'sum',
      input: 'amount',
      where: null,
      overMs: 3_600_000,
      delayMs: 0,
      current: 'include',
      n: null,
      halfLifeMs: null,
    },
  ],
  allowedLatenessMs: 0,
};

/** What may be different about {@link cardTotals} from test to test. */
export interface CardTotalsOptions {
  readonly partitions?: number;
  readonly delayMs?: number;
  readonly bounds?: Partial<QueryBounds>;
}

/** What each card has spent in the last hour, each payment counted once: a small query written in TypeScript, as the kit's tests and examples use it. */
export function cardTotals({ partitions = 1, delayMs = 10_000, bounds = {} }: CardTotalsOptions = {}): QueryUnderTest {
  return inMemoryQuery({
    name: 'card-totals',
    schema,
    eventTime: { field: 'at', delayMs },
    key: ['card'],
    partitions,
    bounds,
    openSection: (start, state) => {
      const once = new DedupeLogic({ operatorId: 'once', by: ['id'], withinMs: 3_600_000 }, start);
      const rolling = new RollingLogic(totals, schema, start);
      const steps: SectionStep[] = [
        { operator: applyLogic(once, state), fate: 'duplicate' },
        { operator: applyLogic(rolling, state), fate: 'keeps' },
      ];
      return { steps, logics: [once, rolling] };
    },
  });
}
