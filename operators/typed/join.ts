import type { FieldType } from '../../engine/record/schema.ts';
import type { JoinKind } from '../join/join-definition.ts';
import type { Fields, Flat, NamesOf, RowOf } from './fields.ts';
import { joinOrigin } from './join-origin.ts';
import type { StatefulOptions } from './keyed-operators.ts';
import type { ExpressionValues, FunctionOptions, TypedExpression } from './row-operators.ts';
import { Stream } from './stream.ts';
import type { Shape } from './stream-operator.ts';

/** A record of the left stream as a join of a kind shows it: null where only the right one is there. */
export type LeftOf<L extends Shape, K extends JoinKind> = K extends 'right' | 'full' ? L['row'] | null : L['row'];
/** A record of the right stream as a join of a kind shows it: null where only the left one is there. */
export type RightOf<R extends Shape, K extends JoinKind> = K extends 'left' | 'full' ? R['row'] | null : R['row'];

type KeyNames<S extends Shape> = NamesOf<S['row'], string | number>;

/** Which records of two streams belong together. */
export interface JoinCondition<L extends Shape, R extends Shape, K extends JoinKind>
  extends StatefulOptions, FunctionOptions {
  /** The field by which they do, or several: of one name in both, or of another in each. */
  readonly on:
    | (KeyNames<L> & KeyNames<R>)
    | readonly (KeyNames<L> & KeyNames<R>)[]
    | { readonly left: KeyNames<L> | readonly KeyNames<L>[]; readonly right: KeyNames<R> | readonly KeyNames<R>[] };
  /** How much earlier (`before`) or later (`after`) than the left record the right one may be; what is not said is `0s`. */
  readonly within: { readonly before?: string; readonly after?: string };
  /** Which records come out without a partner, too, once none can come any more; default `inner`: none. */
  readonly kind?: K;
  /** What must hold for two records besides: a function of both, or an expression over `left.…` and `right.…`, which costs no call. */
  readonly where?: string | ((left: L['row'], right: R['row']) => boolean);
  /** How far behind the watermark a record may come and still find its partners; default `0s`. Later ones are left out, and counted as late. */
  readonly allowedLateness?: string;
}

/** A join whose results a function makes. */
export interface JoinSelection<
  L extends Shape,
  R extends Shape,
  K extends JoinKind,
  F extends Fields,
> extends JoinCondition<L, R, K> {
  /** The fields of a result. */
  readonly output: F;
  /** Makes a result of two records, or of one alone where the kind of the join lets it come out. */
  readonly select: (left: LeftOf<L, K>, right: RightOf<R, K>) => RowOf<F>;
}

/** Expressions by the names of the fields that they make. */
export type Expressions = Readonly<Record<string, TypedExpression<FieldType>>>;

/** A join whose results are computed by expressions over `left.…` and `right.…`, column by column. */
export interface JoinExpressions<
  L extends Shape,
  R extends Shape,
  K extends JoinKind,
  E extends Expressions,
> extends JoinCondition<L, R, K> {
  readonly select: E;
}

/**
 * Joins two streams on a key and an interval of event time (docs/joins.md; Flink's interval join, Spark's stream-stream join with watermarks): each pair comes out as soon as the later of the two is
 * read, and, with `left`, `right` or `full`, a record that had no partner alone once none can come.
 *
 *     join(orders, payments, {
 *       on: { left: 'id', right: 'order' },
 *       within: { before: '5m', after: '1h' },
 *       kind: 'left',
 *       output: { order: 'string', missing: 'double' },
 *       select: (order, payment) => ({ order: order.id, missing: order.amount - (payment?.amount ?? 0) }),
 *     })
 *
 * Either side may have been through operators, or be a join itself. A result's event time is that of the later record; the stream has to be keyed anew behind it.
 *
 * @throws {SluiceError} `STREAM_WITHOUT_TIME`, `INPUT_TWICE`, `STREAM_ID_TAKEN`, `FIELD_UNKNOWN`, `KEY_TYPE`, `JOIN_WITHOUT_END`, `EXPRESSION_INVALID`, `DURATION_INVALID`
 */
export function join<L extends Shape, R extends Shape, const F extends Fields, const K extends JoinKind = 'inner'>(
  left: Stream<L>,
  right: Stream<R>,
  options: JoinSelection<L, R, K, F>,
): Stream<{ row: Flat<RowOf<F>>; key: null }>;
/** Joins two streams, and computes the results by expressions. */
export function join<L extends Shape, R extends Shape, const E extends Expressions, const K extends JoinKind = 'inner'>(
  left: Stream<L>,
  right: Stream<R>,
  options: JoinExpressions<L, R, K, E>,
): Stream<{ row: Flat<ExpressionValues<E>>; key: null }>;
export function join(
  left: Stream<Shape>,
  right: Stream<Shape>,
  options: Parameters<typeof joinOrigin>[2],
): Stream<Shape> {
  return new Stream(joinOrigin(left, right, options), []);
}
