import { Schema } from '../../engine/record/schema.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import {
  windowFields,
  type WindowAggregate,
  type WindowDefinition,
  type WindowKind,
} from '../window/window-definition.ts';
import { WindowLogic } from '../window/window-logic.ts';
import type { AnswerKind, AnswersOf, WindowAggregateFor, WindowAggregateOf } from './aggregates.ts';
import type { Flat } from './fields.ts';
import { namesRead, type StatefulOptions } from './keyed-operators.ts';
import { streamOperator, type KeyedShape, type StreamOperator } from './stream-operator.ts';
import { checkFields, delayOf, keyOf, scopeOf, withOperator, withResults } from './stream-plan.ts';

/** What windows may be told besides. */
export interface WindowOptions extends StatefulOptions {
  /** `append` (the default): each result once, when it is final. `update`: with every record, at once; not for sessions. */
  readonly outputMode?: 'append' | 'update';
  /** How long after its end a window waits for records that come late; default `0s`. Later ones are left out, and counted as late. */
  readonly allowedLateness?: string;
}

/** A window's result: the key, the window's bounds, and its aggregates. */
export type WindowRow<S extends KeyedShape, A> = Flat<
  Pick<S['row'], S['key'] & keyof S['row']> & {
    readonly window_start: number;
    readonly window_end: number;
  } & AnswersOf<S['row'], A>
>;

/** An operator of windows: records in, one result for each key and window out (docs/windows.md). */
export type WindowOperator<S extends KeyedShape, A> = StreamOperator<S, { row: WindowRow<S, A>; key: S['key'] }>;

type Aggregates<S extends KeyedShape> = Readonly<Record<string, WindowAggregateFor<S['row']>>>;

/** Windows side by side: `tumbling('1m', { payments: count(), total: sum('amount') })`. @throws {SluiceError} as {@link session} */
export function tumbling<S extends KeyedShape, const A extends Aggregates<S>>(
  size: string,
  aggregates: A,
  options?: WindowOptions,
): WindowOperator<S, A> {
  return windows({ kind: 'tumbling', sizeMs: parseDuration(size), startMs: 0 }, aggregates, options);
}

/** Windows of `size` that start every `every`: Spark's and Flink's sliding windows. @throws {SluiceError} as {@link session} */
export function hopping<S extends KeyedShape, const A extends Aggregates<S>>(
  { size, every }: { readonly size: string; readonly every: string },
  aggregates: A,
  options?: WindowOptions,
): WindowOperator<S, A> {
  return windows(
    { kind: 'hopping', sizeMs: parseDuration(size), everyMs: parseDuration(every), startMs: 0 },
    aggregates,
    options,
  );
}

/**
 * Windows that last while records of a key come closer together than the gap.
 *
 * @throws {SluiceError} `DURATION_INVALID`; `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN` when it is piped.
 */
export function session<S extends KeyedShape, const A extends Aggregates<S>>(
  gap: string,
  aggregates: A,
  options?: Omit<WindowOptions, 'outputMode'>,
): WindowOperator<S, A> {
  return windows({ kind: 'session', gapMs: parseDuration(gap) }, aggregates, options);
}

/** Windows of so many records of a key, in the order of their arrival. @throws {SluiceError} as {@link session} */
export function countWindows<S extends KeyedShape, const A extends Aggregates<S>>(
  size: number,
  aggregates: A,
  options?: Omit<WindowOptions, 'allowedLateness'>,
): WindowOperator<S, A> {
  return windows({ kind: 'count', size }, aggregates, options);
}

function windows<S extends KeyedShape, A extends Aggregates<S>>(
  window: WindowKind,
  aggregates: A,
  { id = 'windows', outputMode = 'append', allowedLateness = '0s' }: WindowOptions = {},
): WindowOperator<S, A> {
  const allowedLatenessMs = parseDuration(allowedLateness);
  return streamOperator((before) => {
    const key = keyOf(before, window.kind);
    const computed = Object.entries(aggregates).map(([name, aggregate]) => computedOf(name, aggregate, before.schema));
    checkFields(before, [...namesRead(computed), ...computed.flatMap(({ carried = [] }) => carried)], window.kind);
    const definition: WindowDefinition = {
      operatorId: id,
      key,
      window,
      where: null,
      aggregates: computed,
      outputMode,
      allowedLatenessMs,
      lateness: 'wait',
      delayMs: delayOf(before, window.kind),
      closedBy: scopeOf(before, key),
    };
    const { schema } = before;
    const results = new Schema(windowFields(definition, schema));
    return {
      plan: withResults(withOperator(before, id), results),
      meaning: ['windows', definition],
      open: ({ start, state }) => {
        const logic = new WindowLogic(definition, schema, start);
        const { closedBy: scope, delayMs } = definition;
        const stage = { operatorId: id, scope, delayMs, heldMs: allowedLatenessMs, marks: 'taken in' } as const;
        return { kind: 'emit', operator: emitWith(logic, state), logics: [logic], stage };
      },
    };
  });
}

/** An aggregate as the operator has it: one that ranks records reads what they are ranked by, and carries the rest along. */
function computedOf(
  name: string,
  { spec, input, where, ranked }: WindowAggregateOf<string, AnswerKind, string, string>,
  schema: Schema,
): WindowAggregate {
  if (ranked === undefined) return { name, spec, input, where };
  const { by, kept } = ranked;
  const isBoolean = (field: string): boolean => schema.field(field)?.type === 'boolean';
  const typed =
    spec.function === 'top'
      ? { ...spec, fields: kept.map((field) => ({ name: field, isBoolean: isBoolean(field) })) }
      : spec;
  return { name, spec: typed, input: by, where, carried: kept };
}
