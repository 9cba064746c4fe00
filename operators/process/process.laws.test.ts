import { describe, it } from 'vitest';
import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws, laws } from '../testing/laws.ts';
import type { ProcessDefinition } from './process-definition.ts';
import { ProcessLogic } from './process-logic.ts';
import { meter, meterSchema, type MeterState } from './testing/meter.ts';

function underLaws(change: Partial<ProcessDefinition<MeterState>>): OperatorUnderLaws {
  const definition = meter(change);
  return {
    schema: meterSchema,
    key: definition.key,
    delayMs: definition.delayMs,
    arrivalOrder: 'matters within a key',
    open: (start, state) => {
      const rejected = new RejectedRecords('laws');
      const logic = new ProcessLogic(definition, meterSchema, start, rejected);
      return { steps: [], emit: emitWith(logic, state), logics: [logic], rejected };
    },
  };
}

// Without timers and a time to live, nothing depends on how far the watermark of a partition is.
describeLaws('arbitrary keyed state', () =>
  underLaws({
    ttlMs: null,
    onRecord: (record, { state, emit }) => {
      const count = (state.get()?.count ?? 0) + 1;
      if (record['amount'] === 7) throw new TypeError('seven');
      state.set({ count, total: 0 });
      emit({ what: 'seen', count, total: null });
    },
  }),
);

// Where the watermark stands when a record comes depends on which records came before it, of whatever key, and so on their order and their partitions.
const byWatermark = laws.filter(
  ({ name }) => !name.startsWith('other partitions') && !name.startsWith('another order'),
);

describe('the laws of operators: timers and a time to live', () => {
  it.each(byWatermark)(
    'holds: $name',
    async ({ hold }) => {
      await hold(underLaws({}), 400);
    },
    180_000,
  );
});
