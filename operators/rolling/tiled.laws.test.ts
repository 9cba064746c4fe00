import { Schema } from '../../engine/record/schema.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import { describeLaws } from '../testing/laws.ts';
import { openRolling } from './open-rolling.ts';
import type { PaneRule, RollingAggregate, RollingDefinition, RollingFunction } from './rolling-definition.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

function aggregate(
  name: string,
  fn: RollingFunction,
  input: string | null,
  more: Partial<RollingAggregate> = {},
): RollingAggregate {
  const usual = { where: null, overMs: 120, delayMs: 0, current: 'exclude', n: null, halfLifeMs: null } as const;
  return { name, function: fn, input, ...usual, ...more };
}

const definition: RollingDefinition = {
  operatorId: 'laws',
  key: ['card'],
  aggregates: [
    aggregate('count', 'count', null, { current: 'include', overMs: 60 }),
    aggregate('sum', 'sum', 'amount'),
    aggregate('avg', 'avg', 'amount', { where: 'flagged', overMs: 300 }),
    aggregate('stddev', 'stddev', 'amount', { delayMs: 30 }),
    aggregate('max', 'max', 'amount'),
    aggregate('first', 'first', 'amount', { overMs: 300 }),
    aggregate('last', 'last', 'amount', { current: 'include' }),
    aggregate('since', 'sinceLast', null, { where: 'flagged' }),
  ],
  allowedLatenessMs: 15,
};

const panes: Readonly<Record<string, PaneRule>> = {
  'rolling in panes': { sizeMs: 50 },
  'rolling, hot keys compacted': { sizeMs: 50, aboveRecords: 4 },
};

for (const [name, rule] of Object.entries(panes)) {
  describeLaws(name, () => ({
    schema,
    key: definition.key,
    delayMs: 20,
    arrivalOrder: 'matters within a key',
    open: (start, state) => {
      const logic = openRolling({ ...definition, panes: rule }, schema, start);
      return { steps: [{ operator: applyLogic(logic, state), fate: 'keeps' }], logics: [logic] };
    },
  }));
}
