import { SluiceError } from '../../engine/error.ts';
import { Schema } from '../../engine/record/schema.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import { functionRules, type FunctionRules } from '../pattern/function-rules.ts';
import type { PatternDefinition } from '../pattern/pattern-definition.ts';
import { PatternLogic } from '../pattern/pattern-logic.ts';
import { SessionLogic, sessionFields } from '../sessionise/session-logic.ts';
import { applyLogic } from '../stateful/apply-logic.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { fieldsOf, type Fields, type Flat, type RowOf } from './fields.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import type { FunctionOptions } from './row-operators.ts';
import { streamOperator, type KeyedShape, type StreamOperator } from './stream-operator.ts';
import { checkFields, delayOf, keyOf, scopeOf, withOperator, withResults } from './stream-plan.ts';

/** What {@link pattern} is made of. */
export interface PatternOptions<S extends KeyedShape, C extends keyof S['row'] & string, F extends Fields>
  extends StatefulOptions, FunctionOptions {
  /** Whether a record begins a match. */
  readonly first: (record: S['row']) => boolean;
  /** Whether a later one completes it. */
  readonly followedBy: (record: S['row'], first: Flat<Pick<S['row'], C>>) => boolean;
  /** The later record's event time is less than this after the first one's. */
  readonly within: string;
  /** The fields of a first record that `followedBy` and `select` are given: what is kept of it until its match is complete, or its time is over. */
  readonly carry: readonly C[];
  /** The fields of a result. */
  readonly output: F;
  /** Makes the result of a match. */
  readonly select: (record: S['row'], first: Flat<Pick<S['row'], C>>) => RowOf<F>;
}

/**
 * Finds a record and a later one of the same key within a time, and gives out one result for each first record, as soon as the first later one comes that completes it
 * (docs/patterns.md).
 *
 *     pattern({
 *       first: ({ amount }) => amount < 2,
 *       followedBy: ({ amount }, tried) => amount > 100 * tried.amount,
 *       within: '10m',
 *       carry: ['amount'],
 *       output: { card: 'string', tried: 'double', taken: 'double' },
 *       select: ({ card, amount }, tried) => ({ card, tried: tried.amount, taken: amount }),
 *     })
 *
 * @throws {SluiceError} `DURATION_INVALID`; `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN` when it is piped.
 */
export function pattern<S extends KeyedShape, const C extends keyof S['row'] & string, const F extends Fields>(
  options: PatternOptions<S, C, F>,
): StreamOperator<S, { row: Flat<RowOf<F>>; key: null }> {
  const { id = 'pattern', errors = 'dead-letter', within, carry, output, first, followedBy, select } = options;
  const withinMs = parseDuration(within);
  const outputs = fieldsOf(output);
  return streamOperator((before) => {
    const key = keyOf(before, 'pattern');
    checkFields(before, carry, 'pattern');
    const delayMs = delayOf(before, 'pattern');
    const definition: PatternDefinition = {
      operatorId: id,
      key,
      withinMs,
      delayMs,
      closedBy: scopeOf(before, key),
      errors,
    };
    const { schema } = before;
    // The plan has checked that records are of S, and cells are checked as they are made: to the rules, rows are like all others.
    const functions = { first, followedBy, select } as unknown as FunctionRules;
    return {
      plan: { ...withResults(withOperator(before, id), new Schema(outputs)), key: null, sourceKey: [] },
      meaning: ['pattern', definition, carry, output],
      open: ({ start, state, rejected }) => {
        const rules = functionRules(functions, id, carry, outputs, schema);
        const logic = new PatternLogic(definition, rules, start, rejected);
        // A result is there as soon as the record that completes it.
        const stage = { operatorId: id, scope: 'partition', delayMs, heldMs: 0, marks: 'taken in' } as const;
        return { kind: 'emit', operator: emitWith(logic, state), logics: [logic], stage };
      },
    };
  });
}

/** What {@link sessionise} adds to a record; null where it has no key, or is of a session before the current one. */
export interface SessionColumns {
  readonly session_id: string | null;
  readonly session_number: number | null;
  readonly session_start: number | null;
}

/** How {@link sessionise} tells sessions apart. */
export interface SessioniseOptions extends StatefulOptions {
  /** A record this long after the newest of its key's session begins another one. */
  readonly gap: string;
  /** How long after its newest record a key is forgotten, and numbered from 1 again; default `30d`. */
  readonly forget?: string;
}

/**
 * Gives each record, at once, the session of its key that it belongs to: a name, its number, and the event time of the record that began it (docs/patterns.md). For aggregates of whole
 * sessions, at their end, see `session`.
 *
 * @throws {SluiceError} `DURATION_INVALID`, `SESSION_FORGOTTEN`; `STREAM_NOT_KEYED`, `STREAM_WITHOUT_TIME`, `STREAM_ID_TAKEN`, `SCHEMA_FIELD_DUPLICATE` when it is piped.
 */
export function sessionise<S extends KeyedShape>({
  gap,
  forget = '30d',
  id = 'sessions',
}: SessioniseOptions): StreamOperator<S, { row: Flat<S['row'] & SessionColumns>; key: S['key'] }> {
  const [gapMs, forgetMs] = [parseDuration(gap), parseDuration(forget)];
  if (forgetMs < gapMs) {
    throw new SluiceError(
      'SESSION_FORGOTTEN',
      `a key must be remembered for as long as its session may go on, ${gap}; got ${forget}`,
    );
  }
  return streamOperator((before) => {
    const key = keyOf(before, 'sessionise');
    const definition = {
      operatorId: id,
      key,
      gapMs,
      forgetMs,
      delayMs: delayOf(before, 'sessionise'),
      closedBy: scopeOf(before, key),
    };
    const { schema } = before;
    return {
      plan: { ...withOperator(before, id), schema: schema.with(...sessionFields) },
      meaning: ['sessionise', definition],
      open: ({ start, state }) => {
        const logic = new SessionLogic(definition, schema, start);
        return { kind: 'step', step: { operator: applyLogic(logic, state), fate: 'keeps' }, logics: [logic] };
      },
    };
  });
}
