import { SluiceError } from '../../engine/error.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { formatDuration, parseDuration } from '../../engine/time/duration.ts';
import { DedupeLogic } from '../dedupe/dedupe-logic.ts';
import type { PaneRule, RollingAggregate, RollingDefinition } from '../rolling/rolling-definition.ts';
import { rollingFields } from '../rolling/rolling-layout.ts';
import { RollingLogic } from '../rolling/rolling-logic.ts';
import { tilingProblem } from '../rolling/pane-layout.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import type { AnswerKind, AnswersOf, RollingFeatureOf, RollingFor } from './aggregates.ts';
import type { Flat } from './fields.ts';
import { streamOperator, type KeyedShape, type Shape, type StreamOperator } from './stream-operator.ts';
import { checkFields, delayOf, keyOf, withOperator } from './stream-plan.ts';

/** What a stateful operator may be told besides. */
export interface StatefulOptions {
  /** Names its state in the store, across versions of the job; to be said where a stream has two operators of a kind. */
  readonly id?: string;
}

/** What {@link rolling} may be told besides. */
export interface RollingOptions extends StatefulOptions {
  /** How long behind the watermark a record may come and still find its whole window; default `0s`. */
  readonly allowedLateness?: string;
  /**
   * `exact`, the default, or the size of panes, such as `1h`, for keys with millions of records: windows then begin at the start of a pane (semantics, "Rolling features").
   * Not for `distinct` and `decayedSum`, nor for the first and last of texts.
   */
  readonly resolution?: string;
  /**
   * Instead of `resolution`: keys are exact until they hold more than so many records, and only those that do are kept in panes of the size `to`. For streams in which few keys are hot; the same
   * features are refused.
   */
  readonly compact?: { readonly above: number; readonly to: string };
}

/**
 * Adds to each record aggregates over the exact recent past of its key, as of the record's own event time (semantics, "Rolling features"): the operator that Sluice is for.
 *
 *     rolling({ avg_7d: avg('amount').over('7d'), payments_1h: count().over('1h', { current: 'include' }) })
 *
 * @throws {SluiceError} `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN`, `RESOLUTION_INVALID` when it is piped; `DURATION_INVALID`, `RESOLUTION_INVALID`.
 */
export function rolling<S extends KeyedShape, const A extends Readonly<Record<string, RollingFor<S['row']>>>>(
  features: A,
  { id = 'rolling', allowedLateness = '0s', ...kept }: RollingOptions = {},
): StreamOperator<S, { row: Flat<S['row'] & AnswersOf<S['row'], A>>; key: S['key'] }> {
  const allowedLatenessMs = parseDuration(allowedLateness);
  const aggregates = Object.entries(features).map(([name, feature]) => aggregateOf(name, feature));
  const rule = paneRuleOf(kept);
  return streamOperator((before) => {
    const key = keyOf(before, 'rolling');
    delayOf(before, 'rolling');
    checkFields(before, namesRead(aggregates), 'rolling');
    const { schema } = before;
    if (rule !== null) checkPanes(aggregates, rule.sizeMs, schema);
    const panes = rule === null ? {} : { panes: rule };
    const definition: RollingDefinition = { operatorId: id, key, aggregates, allowedLatenessMs, ...panes };
    const after = { ...withOperator(before, id), schema: schema.with(...rollingFields(definition, schema)) };
    return {
      plan: after,
      meaning: ['rolling', definition],
      ...(rule === null ? { again: { kind: 'rolling', definition } as const } : {}),
      open: ({ start, state }) => {
        const logic = new RollingLogic(definition, schema, start);
        return { kind: 'step', step: { operator: applyLogic(logic, state), fate: 'keeps' }, logics: [logic] };
      },
    };
  });
}

/**
 * Drops a record that repeats one that was let through before it: the same values of these fields, and less than so long apart in event time. Spark's `dropDuplicatesWithinWatermark`,
 * but exact; `within: 'forever'`, which keeps every id in memory and in state, is its `dropDuplicates` without a watermark.
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN` when it is piped.
 */
export function dropDuplicates<S extends Shape>(
  by: (keyof S['row'] & string) | readonly (keyof S['row'] & string)[],
  { within, id = 'duplicates' }: StatefulOptions & { readonly within: string },
): StreamOperator<S, S> {
  const fields = typeof by === 'string' ? [by] : by;
  const definition = { operatorId: id, by: fields, withinMs: within === 'forever' ? Infinity : parseDuration(within) };
  return streamOperator((before) => {
    delayOf(before, 'dropDuplicates');
    checkFields(before, fields, 'dropDuplicates');
    return {
      plan: withOperator(before, id),
      meaning: ['duplicates', definition],
      again: 'before windows',
      open: ({ start, state }) => {
        const logic = new DedupeLogic(definition, start);
        return { kind: 'step', step: { operator: applyLogic(logic, state), fate: 'duplicate' }, logics: [logic] };
      },
    };
  });
}

/** How records are kept; `null`: each for itself. @throws {SluiceError} `RESOLUTION_INVALID`, `DURATION_INVALID` */
function paneRuleOf({
  resolution = 'exact',
  compact,
}: Pick<RollingOptions, 'resolution' | 'compact'>): PaneRule | null {
  if (compact === undefined) return resolution === 'exact' ? null : { sizeMs: parseDuration(resolution) };
  const { above, to } = compact;
  if (resolution === 'exact' && Number.isSafeInteger(above) && above >= 1) {
    return { sizeMs: parseDuration(to), aboveRecords: above };
  }
  const got = resolution === 'exact' ? `above: ${above}` : `a resolution of ${resolution} beside it`;
  throw new SluiceError(
    'RESOLUTION_INVALID',
    `compact must say above how many records, 1 or more, a key that is exact is kept in panes; got ${got}`,
  );
}

/** @throws {SluiceError} `RESOLUTION_INVALID` where panes of this size cannot answer one of the features. */
function checkPanes(aggregates: readonly RollingAggregate[], sizeMs: number, schema: Schema): void {
  for (const { name, function: called, input, overMs } of aggregates) {
    const problem = tilingProblem(called, input === null ? null : (schema.field(input)?.type ?? null));
    if (sizeMs > 0 && problem === null && overMs >= sizeMs) continue;
    const why = problem === null ? `its window is ${formatDuration(overMs)}` : `"${called}" ${problem}`;
    throw new SluiceError(
      'RESOLUTION_INVALID',
      `feature ${name} must be one that panes can answer, over at least one of them; got panes of ${formatDuration(sizeMs)}, and ${why}. Put it into another rolling() with an id of its own`,
      { fields: { feature: name } },
    );
  }
}

function aggregateOf(name: string, feature: RollingFeatureOf<string, AnswerKind, string>): RollingAggregate {
  const { function: called, input, where, overMs, delayMs, current, halfLifeMs } = feature;
  return { name, function: called, input, where, overMs, delayMs, current, n: null, halfLifeMs };
}

/** The fields that aggregates read. */
export function namesRead(
  aggregates: readonly { readonly input: string | null; readonly where: string | null }[],
): readonly string[] {
  return aggregates.flatMap(({ input, where }) => [input, where].filter((name) => name !== null));
}
