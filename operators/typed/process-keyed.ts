import { parseDuration } from '../../engine/time/duration.ts';
import { processSchema, type ProcessContext, type ProcessDefinition } from '../process/process-definition.ts';
import { ProcessLogic } from '../process/process-logic.ts';
import type { StateCodec } from '../process/state-codec.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { fieldsOf, type Fields, type Flat, type RowOf } from './fields.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import type { FunctionOptions } from './row-operators.ts';
import { streamOperator, type KeyedShape, type StreamOperator } from './stream-operator.ts';
import { delayOf, keyOf, scopeOf, withOperator, withResults } from './stream-plan.ts';

/** What {@link processKeyed} is made of. */
export interface ProcessKeyedOptions<S extends KeyedShape, State, F extends Fields>
  extends StatefulOptions, FunctionOptions {
  /** The fields of the rows that are given out, behind the key's. */
  readonly output: F;
  /** How the state is kept; `jsonState<MyState>()` says its type, too. */
  readonly state: StateCodec<State>;
  /** For how long after the event time of the record or timer that set it a state is kept. Without it, for ever, which is to be wanted. */
  readonly ttl?: string;
  /** Called for each record, in arrival order. */
  readonly onRecord: (record: S['row'], context: ProcessContext<State, RowOf<F>>) => void;
  /** Called for each timer that the watermark has reached, by time, ties by key. */
  readonly onTimer?: (context: ProcessContext<State, RowOf<F>>) => void;
}

/**
 * An operator of one's own over keyed state, with timers and a time to live in event time: Flink's `KeyedProcessFunction`, Spark's `transformWithState` (docs/process.md).
 *
 *     processKeyed({
 *       output: { status: 'string' },
 *       state: jsonState<{ paid: boolean }>(),
 *       onRecord: ({ kind }, { state, timers, eventTimeMs }) => {
 *         state.set({ paid: kind === 'payment' });
 *         if (kind === 'order') timers.set(eventTimeMs + 900_000);
 *       },
 *       onTimer: ({ state, emit }) => {
 *         if (state.get()?.paid !== true) emit({ status: 'unpaid' });
 *       },
 *     })
 *
 * @throws {SluiceError} `DURATION_INVALID`; `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `SCHEMA_FIELD_DUPLICATE` when it is piped.
 */
export function processKeyed<S extends KeyedShape, State, const F extends Fields>(
  options: ProcessKeyedOptions<S, State, F>,
): StreamOperator<S, { row: Flat<Pick<S['row'], S['key'] & keyof S['row']> & RowOf<F>>; key: S['key'] }> {
  const { id = 'process', errors = 'dead-letter', output, state: codec, ttl, onRecord, onTimer } = options;
  const outputs = fieldsOf(output);
  const ttlMs = ttl === undefined ? null : parseDuration(ttl);
  return streamOperator((before) => {
    const key = keyOf(before, 'processKeyed');
    const definition: ProcessDefinition<State, RowOf<F>> = {
      operatorId: id,
      key,
      outputs,
      codec,
      ttlMs,
      delayMs: delayOf(before, 'processKeyed'),
      closedBy: scopeOf(before, key),
      errors,
      // The plan has checked that records are of S, and emit checks that rows are of F: to the logic, rows are like all others.
      onRecord,
      ...(onTimer === undefined ? {} : { onTimer }),
    };
    const { schema } = before;
    return {
      plan: withResults(withOperator(before, id), processSchema(definition, schema)),
      meaning: ['process', id, key, output, ttlMs],
      open: ({ start, state, rejected }) => {
        const logic = new ProcessLogic(definition, schema, start, rejected);
        const { closedBy: scope, delayMs } = definition;
        const stage = { operatorId: id, scope, delayMs, heldMs: 0, marks: 'taken in' } as const;
        return { kind: 'emit', operator: emitWith(logic, state), logics: [logic], stage };
      },
    };
  });
}
