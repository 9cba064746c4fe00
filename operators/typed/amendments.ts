import { map, pipe } from 'rxjs';
import { arrivedSchema } from '../../engine/exchange/arrivals.ts';
import { SluiceError } from '../../engine/error.ts';
import { numberColumn } from '../../engine/record/column.ts';
import { withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import { acrossEntities } from '../amend/across-entities.ts';
import type { AmendDefinition, AmendStep, Tolerance } from '../amend/amend-definition.ts';
import { amendmentFields, AmendmentResults } from '../amend/amendment-results.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import type { Flat } from './fields.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import { streamOperator, type KeyedShape, type StreamOperator } from './stream-operator.ts';
import { checkFields, delayOf, keyOf, scopeOf, withOperator, withResults, type StreamPlan } from './stream-plan.ts';

/** How far a feature may be off: a share of what was told, such as `'5%'`, or an amount in its own unit. */
export type ToleranceText = `${number}%` | number;

/** What {@link amendments} is told. `T`: the features that are looked at; `M`: further ones that are told; `I`: further fields that a decision is named by. */
export interface AmendmentsOptions<T, M extends string, I extends string> extends StatefulOptions {
  /** The features that are looked at, each with how far it may be off. */
  readonly tolerance: T;
  /** How far behind the watermark, in event time, decisions are watched. */
  readonly within: string;
  /** Features that are told before and after beside those. */
  readonly tell?: readonly M[];
  /**
   * How many records of each key are kept at most, the newest; absent: as many as there are. Decisions of a key that holds as many are watched only while all of their windows are among those, and what
   * is let go is counted (`letGoEarly`). Not where a feature is over what windows of another key have answered.
   */
  readonly maxRecordsPerKey?: number;
  /** Fields of the record that its amendments have, beside the key's. */
  readonly identity?: readonly I[];
}

/** When a decision was made and what it was amended for. Instants are milliseconds since the epoch. */
export interface AmendmentHead {
  /** Of the decision's record. */
  readonly event_time: number;
  /** When the log took the record, which was then decided on; null for rows that were read from no log. */
  readonly decision_time: number | null;
  readonly source_partition: number;
  readonly source_offset: number;
  /** The number of the amendment among those of its decision, from 1. */
  readonly revision: number;
  /** The features that are beyond their tolerance: JSON text, a list of their names. */
  readonly changed: string;
  readonly 'cause.event_time': number;
  /** When the log took the record that brought the amendment out. */
  readonly 'cause.arrival_time': number | null;
  readonly 'cause.source_partition': number;
  readonly 'cause.source_offset': number;
}

/** An amendment: the fields that name its decision, when and why, and each feature as it was told last (`before.ratio`) and as it is now (`after.ratio`). */
export type AmendmentRow<Row, I extends keyof Row, N extends keyof Row & string> = Flat<
  Pick<Row, I> &
    AmendmentHead & { readonly [Name in N as `before.${Name}`]: Row[Name] | null } & {
      readonly [Name in N as `after.${Name}`]: Row[Name] | null;
    }
>;

type NameIn<S extends KeyedShape> = keyof S['row'] & string;

/**
 * Tells decisions anew that a late record has changed (docs/amendments.md): behind every record, what was told last of each decision in watch is within the tolerance of what the features before this
 * operator would be, had all records that have arrived come in order of event time. The stream goes on with the amendments; whoever wants the answers, too, pipes them from the same beginning.
 *
 *     const answers = payments.pipe(withWatermark('at', '1m'), keyBy('card'), rolling({ avg_7d: avg('amount').over('7d') }));
 *     const corrections = answers.pipe(amendments({ tolerance: { avg_7d: '5%' }, within: '1d', identity: ['id'] }));
 *
 * Between the first `rolling` and this there may be exact rolling features, `keyBy`, and what is derived by expressions: what else is made of records cannot be told anew.
 *
 * @throws {SluiceError} `DURATION_INVALID`, `TOLERANCE_INVALID`; `AMENDMENTS_PLACE`, `AMENDMENTS_BOUND`, `FEATURE_UNKNOWN`, `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN`, `SCHEMA_FIELD_DUPLICATE` when it is piped.
 */
export function amendments<
  S extends KeyedShape,
  const T extends Readonly<Record<string, ToleranceText>>,
  const M extends NameIn<S> = never,
  const I extends NameIn<S> = never,
>(
  options: AmendmentsOptions<T & Readonly<Record<Exclude<keyof T, NameIn<S>>, never>>, M, I>,
): StreamOperator<
  S,
  { row: AmendmentRow<S['row'], (S['key'] | I) & keyof S['row'], ((keyof T & string) | M) & NameIn<S>>; key: S['key'] }
> {
  const { tolerance, within, tell = [], identity = [], maxRecordsPerKey, id = 'amendments' } = options;
  const withinMs = parseDuration(within);
  const watched = Object.entries<ToleranceText>(tolerance).map(([column, text]) => ({
    column,
    tolerance: toleranceOf(column, text),
  }));
  return streamOperator((before) => {
    const key = keyOf(before, 'amendments');
    const delayMs = delayOf(before, 'amendments');
    checkFields(before, identity, 'amendments');
    const { input, steps } = stepsOf(before);
    const features = [...new Set([...watched.map(({ column }) => column), ...tell])];
    checkFeatures(features, steps);
    if (maxRecordsPerKey !== undefined) checkBound(maxRecordsPerKey, steps);
    const { schema } = before;
    const definition: AmendDefinition = {
      operatorId: id,
      key,
      identity: [...new Set([...key, ...identity])],
      features,
      watched,
      withinMs,
      steps,
      closedBy: closedBy(before, steps),
      ...(maxRecordsPerKey === undefined ? {} : { maxRecordsPerKey }),
    };
    const after = withResults(withOperator(before, id), amendmentFields(definition, schema));
    const named = (name: string): boolean => definition.identity.includes(name);
    return {
      plan: { ...after, arrivals: 'told', sourceKey: before.sourceKey.every(named) ? before.sourceKey : [] },
      meaning: ['amendments', { ...definition, steps: null }],
      open: ({ start, state, arrivals }) => {
        const logic = new AmendmentResults(definition, input, schema, start);
        const arrived = arrivedSchema(schema);
        const withArrivals = (batch: RecordBatch): RecordBatch => {
          const taken = arrivals.of(batch);
          return taken === null ? batch : withColumns(batch, arrived, [numberColumn(taken)]);
        };
        return {
          kind: 'emit',
          operator: pipe(map(withArrivals), emitWith(logic, state)),
          logics: [logic],
          stage: { operatorId: id, scope: definition.closedBy, delayMs, heldMs: withinMs, marks: 'kept from it' },
        };
      },
    };
  });
}

/** How the features before the operator are computed again. @throws {SluiceError} `AMENDMENTS_PLACE` */
function stepsOf({ again }: StreamPlan): Exclude<StreamPlan['again'], { readonly notAgain: string }> {
  if (!('notAgain' in again) && again.steps.some(({ kind }) => kind === 'rolling')) return again;
  const got =
    'notAgain' in again
      ? `"${again.notAgain}" among them, or features in panes`
      : 'no rolling features before it, so that no record changes those of another';
  throw new SluiceError(
    'AMENDMENTS_PLACE',
    `amendments must come behind rolling features of one topic's records, exact ones, with nothing but further ones, keyBy and expressions between; got ${got}. Put what else there is before the first rolling, or behind`,
  );
}

/** @throws {SluiceError} `FEATURE_UNKNOWN` where a feature is a field that nothing before computes, or no feature is looked at. */
function checkFeatures(features: readonly string[], steps: readonly AmendStep[]): void {
  const computed = steps.flatMap((step) => {
    return (step.kind === 'derive' ? step.columns : step.definition.aggregates).map(({ name }) => name);
  });
  const unknown = features.find((name) => !computed.includes(name));
  if (unknown === undefined && features.length > 0) return;
  const got = unknown === undefined ? 'none' : `"${unknown}"`;
  throw new SluiceError('FEATURE_UNKNOWN', `amendments must be of features (${computed.join(', ')}); got ${got}`);
}

/** @throws {SluiceError} `AMENDMENTS_BOUND` */
function checkBound(maxRecordsPerKey: number, steps: readonly AmendStep[]): void {
  const across = acrossEntities(steps);
  if (across === null && Number.isSafeInteger(maxRecordsPerKey) && maxRecordsPerKey >= 1) return;
  const got =
    across === null ? `${maxRecordsPerKey}` : `"${across}", which is over what windows of another key have answered`;
  throw new SluiceError(
    'AMENDMENTS_BOUND',
    `maxRecordsPerKey must be 1 or more, of features whose windows hold what records and windows of the same key say; got ${got}`,
  );
}

/** Whose watermark lets a decision go: its partition's, where all records that its features are of come from one. */
function closedBy(before: StreamPlan, steps: readonly AmendStep[]): AmendDefinition['closedBy'] {
  const keys = steps.flatMap((step) => (step.kind === 'rolling' ? [step.definition.key] : []));
  return keys.every((key) => scopeOf(before, key) === 'partition') ? 'partition' : 'query';
}

/** @throws {SluiceError} `TOLERANCE_INVALID` */
function toleranceOf(feature: string, text: ToleranceText): Tolerance {
  if (typeof text === 'number') {
    if (Number.isFinite(text) && text >= 0) return { kind: 'absolute', by: text };
  } else if (/^\d+(\.\d+)?%$/.test(text)) return { kind: 'relative', share: Number.parseFloat(text) / 100 };
  throw new SluiceError(
    'TOLERANCE_INVALID',
    `the tolerance of ${feature} must be a share such as '5%', or an amount of 0 or more; got ${text}`,
    { fields: { feature } },
  );
}
