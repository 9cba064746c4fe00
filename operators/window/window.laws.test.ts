import { describe } from 'vitest';
import { Schema } from '../../engine/record/schema.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws } from '../testing/laws.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import type { WindowAggregate, WindowDefinition } from './window-definition.ts';
import { WindowLogic } from './window-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

const aggregates: readonly WindowAggregate[] = [
  { name: 'n', spec: { function: 'count' }, input: null, where: null },
  { name: 'total', spec: { function: 'sum' }, input: 'amount', where: 'flagged' },
  { name: 'spread', spec: { function: 'stddev' }, input: 'amount', where: null },
  { name: 'median', spec: { function: 'quantile', q: 0.5, error: 0.01 }, input: 'amount', where: null },
  { name: 'places', spec: { function: 'approxDistinct', error: 0.1 }, input: 'place', where: null },
  { name: 'top', spec: { function: 'topK', k: 2, capacity: 50 }, input: 'place', where: null },
];

const base: WindowDefinition = {
  operatorId: 'laws',
  key: ['card'],
  window: { kind: 'tumbling', sizeMs: 40, startMs: 3 },
  where: null,
  aggregates,
  outputMode: 'append',
  allowedLatenessMs: 10,
  lateness: 'wait',
  delayMs: 20,
  closedBy: 'partition',
};

function underLaws(change: Partial<WindowDefinition>, order: OperatorUnderLaws['arrivalOrder']): OperatorUnderLaws {
  const definition = { ...base, ...change };
  return {
    schema,
    key: definition.key,
    delayMs: definition.delayMs,
    arrivalOrder: order,
    open: (start, state) => {
      const logic = new WindowLogic(definition, schema, start);
      return { steps: [], emit: emitWith(logic, state), logics: [logic] };
    },
  };
}

const hopping = { kind: 'hopping', sizeMs: 60, everyMs: 25, startMs: 0 } as const;

// Results that come at once keep every law.
describeLaws('tumbling windows that update', () => underLaws({ outputMode: 'update' }, 'matters within a key'));
describeLaws('count windows', () => underLaws({ window: { kind: 'count', size: 4 } }, 'matters within a key'));

/** Random streams for each law. */
const streams = 250;

describe.each<readonly [string, Partial<WindowDefinition>]>([
  ['tumbling windows that fire again', { lateness: 'fire' }],
  ['hopping windows', { window: hopping }],
  ['session windows', { window: { kind: 'session', gapMs: 15 } }],
])('windows that wait', (name, change) => {
  describeLaws(name, () => underLaws(change, 'does not matter'), { streams });
});

// The least watermark of all partitions closes these.
describe.each<readonly [string, Partial<WindowDefinition>]>([
  ['tumbling windows of keys in several partitions', {}],
  ['session windows of keys in several partitions', { window: { kind: 'session', gapMs: 15 } }],
])('windows that wait for all partitions', (name, change) => {
  const make = (): OperatorUnderLaws => {
    return { ...underLaws({ ...change, closedBy: 'query' }, 'does not matter'), waitsFor: 'all partitions' };
  };
  describeLaws(name, make, { streams });
});
