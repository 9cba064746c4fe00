import { parseDuration } from '../../engine/time/duration.ts';
import type { AggregateSpec } from '../aggregate/aggregate-spec.ts';
import type { RankOrder } from '../aggregate/ranked.ts';
import type { RollingFunction } from '../rolling/rolling-definition.ts';
import type { NamesOf } from './fields.ts';

/**
 * What an aggregate gives: `count` a number; `number`, of a field of numbers, and `tally`, of any field, a number or null; `value` what its field holds or null; `text` JSON text
 * or null, and so does `counts`, of a field of numbers.
 */
export type AnswerKind = 'count' | 'number' | 'tally' | 'value' | 'text' | 'counts';

/** What of records an aggregate takes in. */
export interface AggregateOptions<W extends string> {
  /** A boolean field: only records where it is true take part. */
  readonly where?: W;
}

/** An aggregate of windows. `N` is the field that it reads, `never` for none; `B` the one that it ranks records by. */
export interface WindowAggregateOf<
  N extends string,
  K extends AnswerKind,
  W extends string = never,
  B extends string = never,
> {
  readonly spec: AggregateSpec;
  readonly input: N | null;
  readonly where: W | null;
  readonly kind: K;
  /** Of one that ranks records: by which field, and what is kept of them. */
  readonly ranked?: { readonly by: B; readonly kept: readonly N[] };
}

/** What a rolling feature may be told besides. */
export interface OverOptions {
  /** How long ago the window ends; default `0s`. */
  readonly delay?: string;
  /** Whether the record itself is in its window; default `exclude`, as job files have it. */
  readonly current?: 'include' | 'exclude';
}

/** An aggregate over the recent past of each record. Made by `over`. */
export interface RollingFeatureOf<N extends string, K extends AnswerKind, W extends string = never> {
  readonly function: RollingFunction;
  readonly input: N | null;
  readonly where: W | null;
  readonly kind: K;
  readonly overMs: number;
  readonly delayMs: number;
  readonly current: 'include' | 'exclude';
  readonly halfLifeMs: number | null;
}

/** An aggregate that windows and rolling features know. */
export interface AggregateOf<
  N extends string,
  K extends AnswerKind,
  W extends string = never,
> extends WindowAggregateOf<N, K, W> {
  /** The same over the records of the key of the last so long, for `rolling`. @throws {SluiceError} `DURATION_INVALID` */
  over(length: string, options?: OverOptions): RollingFeatureOf<N, K, W>;
}

/** The functions of job files that both know, and take no settings. */
type Shared = Extract<AggregateSpec['function'], RollingFunction>;

function shared<N extends string, K extends AnswerKind, W extends string>(
  name: Shared,
  input: N | null,
  kind: K,
  { where }: AggregateOptions<W> = {},
): AggregateOf<N, K, W> {
  const common = { input, where: where ?? null, kind };
  return {
    spec: { function: name },
    ...common,
    over: (length, options) => ({ function: name, ...common, ...overOf(length, options), halfLifeMs: null }),
  };
}

function overOf(
  length: string,
  { delay = '0s', current = 'exclude' }: OverOptions = {},
): Pick<RollingFeatureOf<never, 'count'>, 'overMs' | 'delayMs' | 'current'> {
  return { overMs: parseDuration(length), delayMs: parseDuration(delay), current };
}

/** How many records. */
export function count<W extends string = never>(options?: AggregateOptions<W>): AggregateOf<never, 'count', W> {
  return shared<never, 'count', W>('count', null, 'count', options);
}

/** The sum of a field. */
export function sum<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'number', W> {
  return shared('sum', field, 'number', options);
}

/** The mean of a field. */
export function avg<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'number', W> {
  return shared('avg', field, 'number', options);
}

/** The least value of a field. */
export function min<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'number', W> {
  return shared('min', field, 'number', options);
}

/** The greatest value of a field. */
export function max<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'number', W> {
  return shared('max', field, 'number', options);
}

/** The sample standard deviation of a field; null for fewer than two values. */
export function stddev<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'number', W> {
  return shared('stddev', field, 'number', options);
}

/** The value of the earliest record. */
export function first<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'value', W> {
  return shared('first', field, 'value', options);
}

/** The value of the latest record. */
export function last<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'value', W> {
  return shared('last', field, 'value', options);
}

/** How many different values, exactly. */
export function distinct<N extends string, W extends string = never>(
  field: N,
  options?: AggregateOptions<W>,
): AggregateOf<N, 'tally', W> {
  return shared('distinct', field, 'tally', options);
}

/** The sample variance of a field, of windows; null for fewer than two values. */
export function variance<N extends string>(field: N): WindowAggregateOf<N, 'number'> {
  return { spec: { function: 'variance' }, input: field, where: null, kind: 'number' };
}

/** A quantile of a field, of windows, by DDSketch: `quantile('ms', 0.95)`, with a relative error of 1 %, or another. */
export function quantile<N extends string>(field: N, q: number, error = 0.01): WindowAggregateOf<N, 'number'> {
  return { spec: { function: 'quantile', q, error }, input: field, where: null, kind: 'number' };
}

/** How many different values, of windows, by HyperLogLog, with a standard error of 2 %, or another. */
export function approxDistinct<N extends string>(field: N, error = 0.02): WindowAggregateOf<N, 'tally'> {
  return { spec: { function: 'approxDistinct', error }, input: field, where: null, kind: 'tally' };
}

/** The k most frequent values, of windows, with their counts, by Space-Saving: JSON text. */
export function topK<N extends string>(field: N, k: number): WindowAggregateOf<N, 'text'> {
  return { spec: { function: 'topK', k, capacity: 10 * k }, input: field, where: null, kind: 'text' };
}

/** How many values lie between boundaries, of windows, ascending: JSON text, with the counts below the first, between each two, and from the last on. */
export function histogram<N extends string>(field: N, boundaries: readonly number[]): WindowAggregateOf<N, 'counts'> {
  return { spec: { function: 'histogram', boundaries }, input: field, where: null, kind: 'counts' };
}

/** What records are ranked by, and which of them take part. */
export interface RankOptions<B extends string, W extends string> extends AggregateOptions<W> {
  /** A field of numbers. Of equal ones the earliest record comes first. */
  readonly by: B;
}

/** A field of the record in which another is greatest, of windows: `argMax('bidder', { by: 'price' })`. Records in which either is null take no part. */
export function argMax<N extends string, const B extends string, const W extends string = never>(
  field: N,
  { by, where }: RankOptions<B, W>,
): WindowAggregateOf<N, 'value', W, B> {
  return {
    spec: { function: 'argMax' },
    input: field,
    where: where ?? null,
    kind: 'value',
    ranked: { by, kept: [field] },
  };
}

/** A field of the record in which another is least, of windows. */
export function argMin<N extends string, const B extends string, const W extends string = never>(
  field: N,
  { by, where }: RankOptions<B, W>,
): WindowAggregateOf<N, 'value', W, B> {
  return {
    spec: { function: 'argMin' },
    input: field,
    where: where ?? null,
    kind: 'value',
    ranked: { by, kept: [field] },
  };
}

/** Fields of the n records in which another is greatest, or least, of windows: JSON text, a list of objects. `top(['bidder', 'price'], { by: 'price', n: 3 })`. */
export function top<const N extends string, const B extends string, const W extends string = never>(
  fields: readonly N[],
  { by, n, order = 'descending', where }: RankOptions<B, W> & { readonly n: number; readonly order?: RankOrder },
): WindowAggregateOf<N, 'text', W, B> {
  // Which of them are booleans is known where it is piped.
  const spec = { function: 'top', n, order, fields: fields.map((name) => ({ name, isBoolean: false })) } as const;
  return { spec, input: null, where: where ?? null, kind: 'text', ranked: { by, kept: fields } };
}

/** The values themselves, of windows, the earliest up to a limit: JSON text. */
export function collectList<N extends string>(field: N, limit = 100): WindowAggregateOf<N, 'text'> {
  return { spec: { function: 'collect', limit }, input: field, where: null, kind: 'text' };
}

/** Seconds since the last record of the key within so long before this one, of rolling features; null where there is none. */
export function sinceLast(within: string): RollingFeatureOf<never, 'number'> {
  const common = { function: 'sinceLast', input: null, where: null, kind: 'number', halfLifeMs: null } as const;
  return { ...common, ...overOf(within) };
}

/** A sum in which a value counts half after each half-life, of rolling features: over so long, after which nothing counts. */
export function decayedSum<N extends string>(field: N, halfLife: string, over: string): RollingFeatureOf<N, 'number'> {
  const common = { function: 'decayedSum', input: field, where: null, kind: 'number' } as const;
  return { ...common, ...overOf(over), halfLifeMs: parseDuration(halfLife) };
}

/** What an aggregate gives, by the fields of the records that it is computed from. */
export type AnswerOf<Row, A> = A extends { readonly kind: infer K; readonly input: infer N }
  ? K extends 'count'
    ? number
    : K extends 'number' | 'tally'
      ? number | null
      : K extends 'text' | 'counts'
        ? string | null
        : Row[Exclude<N, null> & keyof Row] | null
  : never;

/** What some aggregates give, by their names. */
export type AnswersOf<Row, A> = { readonly [Name in keyof A]: AnswerOf<Row, A[Name]> };

type AnyKind = Exclude<AnswerKind, 'number' | 'counts'>;

/** The names of conditions. Of records without boolean fields any, since inference makes nothing of a choice of none; what has no such field is refused when it is piped. */
type ConditionsOf<Row> = [NamesOf<Row, boolean>] extends [never] ? string : NamesOf<Row, boolean>;

/** The rolling features that records of a type can have. */
export type RollingFor<Row> =
  | RollingFeatureOf<NamesOf<Row, number | boolean>, 'number', ConditionsOf<Row>>
  | RollingFeatureOf<keyof Row & string, AnyKind, ConditionsOf<Row>>;

/** The aggregates that windows over records of a type can have. */
export type WindowAggregateFor<Row> =
  | WindowAggregateOf<NamesOf<Row, number | boolean>, 'number' | 'counts', ConditionsOf<Row>>
  | WindowAggregateOf<keyof Row & string, AnyKind, ConditionsOf<Row>, NamesOf<Row, number | boolean>>;
