import { Schema } from '../../engine/record/schema.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import { describeLaws } from '../testing/laws.ts';
import type { RollingAggregate, RollingFunction } from './rolling-definition.ts';
import { RollingLogic } from './rolling-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

function aggregate(
  name: string,
  fn: RollingFunction,
  input: string | null,
  more: Partial<RollingAggregate> = {},
): RollingAggregate {
  return {
    name,
    function: fn,
    input,
    where: null,
    overMs: 120,
    delayMs: 0,
    current: 'exclude',
    n: null,
    halfLifeMs: null,
    ...more,
  };
}

const definition = {
  operatorId: 'laws',
  key: ['card'],
  aggregates: [
    aggregate('count', 'count', null, { current: 'include', overMs: 40 }),
    aggregate('sum', 'sum', 'amount'),
    aggregate('avg', 'avg', 'amount', { where: 'flagged', overMs: 300 }),
    aggregate('stddev', 'stddev', 'amount', { delayMs: 60 }),
    aggregate('max', 'max', 'amount'),
    aggregate('places', 'distinct', 'place', { overMs: 300 }),
    aggregate('last', 'lastN', 'place', { n: 2 }),
    aggregate('since', 'sinceLast', null, { where: 'flagged' }),
    aggregate('decayed', 'decayedSum', 'amount', { halfLifeMs: 50, current: 'include' }),
  ],
  allowedLatenessMs: 15,
};

describeLaws('rolling', () => ({
  schema,
  key: definition.key,
  delayMs: 20,
  arrivalOrder: 'matters within a key',
  open: (start, state) => {
    const logic = new RollingLogic(definition, schema, start);
    return { steps: [{ operator: applyLogic(logic, state), fate: 'keeps' }], logics: [logic] };
  },
}));
