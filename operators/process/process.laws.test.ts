import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws } from '../testing/laws.ts';
import type { ProcessDefinition } from './process-definition.ts';
import { ProcessLogic } from './process-logic.ts';
import { jsonState } from './state-codec.ts';
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

/** How much of each 50 ms of event time there was, given out when nothing more of it can come: timers that look only at what lies before them. */
const sliceMs = 50;
interface Slices {
  readonly [end: string]: number;
}

const sliced: ProcessDefinition<Slices> = {
  ...meter(),
  codec: jsonState<Slices>(),
  ttlMs: null,
  onRecord: (record, { state, timers, eventTimeMs }) => {
    const endMs = (Math.floor(eventTimeMs / sliceMs) + 1) * sliceMs;
    const slices = state.get() ?? {};
    state.set({ ...slices, [endMs]: (slices[endMs] ?? 0) + Number(record['amount'] ?? 0) });
    timers.set(endMs);
  },
  onTimer: ({ state, emit, eventTimeMs }) => {
    const { [eventTimeMs]: total = 0, ...later } = state.get() ?? {};
    emit({ what: 'slice', count: eventTimeMs, total });
    if (Object.keys(later).length === 0) state.clear();
    else state.set(later);
  },
};

const slicedUnderLaws = (closedBy: ProcessDefinition<Slices>['closedBy']): OperatorUnderLaws => ({
  ...underLaws({}),
  open: (start, state) => {
    const rejected = new RejectedRecords('laws');
    const logic = new ProcessLogic({ ...sliced, closedBy }, meterSchema, start, rejected);
    return { steps: [], emit: emitWith(logic, state), logics: [logic], rejected };
  },
});

describeLaws('timers that look at what lies before them', () => slicedUnderLaws('partition'));
describeLaws('timers by the least watermark of all partitions', () => ({
  ...slicedUnderLaws('query'),
  waitsFor: 'all partitions',
}));

const raced =
  'since whether a timer comes before a record that is later than it is told by the watermark, which the rows of others move';

describeLaws('timers that any record of their key may change, and a time to live', () => underLaws({}), {
  except: {
    'another order within the delay changes no answer': raced,
    'other partitions of the same keys change no answer': raced,
  },
});
