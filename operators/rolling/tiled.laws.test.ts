import { Schema } from '../../engine/record/schema.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws } from '../testing/laws.ts';
import { RollingLogic } from './rolling-logic.ts';
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

function underLaws(panes: PaneRule): OperatorUnderLaws {
  return {
    schema,
    key: definition.key,
    delayMs: 20,
    arrivalOrder: 'matters within a key',
    open: (start, state) => {
      const logic = new RollingLogic({ ...definition, panes }, schema, start);
      return { steps: [{ operator: applyLogic(logic, state), fate: 'keeps' }], logics: [logic] };
    },
  };
}

describeLaws('rolling in panes', () => underLaws({ sizeMs: 50 }));

// How much of a hot key is in panes by then is told by its partition's watermark, which the records of other keys move, too: an answer may begin a pane earlier or later, as declared.
const byWatermark = 'since what is compacted by then is told by the watermark of the partition';
describeLaws('rolling, hot keys compacted', () => underLaws({ sizeMs: 100, aboveRecords: 1 }), {
  except: {
    'another order within the delay changes no answer': byWatermark,
    'other partitions of the same keys change no answer': byWatermark,
  },
});
