import type { Field, FieldType, Schema } from '../../engine/record/schema.ts';
import { answerType, type AggregateSpec } from '../aggregate/aggregate-spec.ts';
import type { OutputMode } from './output-modes.ts';

/**
 * Which windows a record is in; times are `[start, end)`. Tumbling and hopping windows are aligned to the epoch plus `startMs` (Spark's `startTime`, Flink's offset):
 *
 *     tumbling   |────────|────────|────────|      every record in one
 *     hopping    |────────|                        every record in size / every of them
 *                     |────────|
 *     session    |─x─x──x──| gap |─x──|            ends `gap` after its last record, which keeps the others' distance below it
 *     count      |x·x··x|x·x·x|                    every n records of the key, in the order of their arrival
 */
export type WindowKind =
  | { readonly kind: 'tumbling'; readonly sizeMs: number; readonly startMs: number }
  | { readonly kind: 'hopping'; readonly sizeMs: number; readonly everyMs: number; readonly startMs: number }
  | { readonly kind: 'session'; readonly gapMs: number }
  | { readonly kind: 'count'; readonly size: number };

/** One aggregate of every window. Frozen plain data; its columns exist in the input's schema, which the plan has checked. */
export interface WindowAggregate {
  /** The output column's name. */
  readonly name: string;
  readonly spec: AggregateSpec;
  /** The column that is aggregated; `null` for a count of records. Records whose input is null take no part. Of `argMax`, `argMin` and `top`: what records are ranked by. */
  readonly input: string | null;
  /** Further columns, whose values are kept of records that are ranked; absent for none. */
  readonly carried?: readonly string[];
  /** A boolean column: only records where it is 1 take part in this aggregate. `null`: all do. */
  readonly where: string | null;
}

/** A window operator: the aggregates of the records of each key and window. */
export interface WindowDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The key's columns, in order; empty where the records of all keys are aggregated together. */
  readonly key: readonly string[];
  readonly window: WindowKind;
  /** A boolean column: records where it is not 1 are in no window. `null`: all are. */
  readonly where: string | null;
  readonly aggregates: readonly WindowAggregate[];
  readonly outputMode: OutputMode;
  /** How long after its end a window is kept for records that come late. */
  readonly allowedLatenessMs: number;
  /**
   * What a record within the allowed lateness does. `wait`: a window gives its one result when the allowed lateness is over, so it is in it. `fire`: the window gave a
   * result at its end, and gives another one now.
   */
  readonly lateness: 'wait' | 'fire';
  /** How far the watermark is behind the newest record of a partition: tells where it stands behind each record. */
  readonly delayMs: number;
  /**
   * Whose watermark closes a window. `partition`: that of the partition that all records of its key come from. `query`: the least of all partitions, for keys whose
   * records come from several.
   */
  readonly closedBy: 'partition' | 'query';
  /**
   * Of records of several inputs, whose partitions are numbered in turn (`engine/source/merged`): each one's delay, in the place of `delayMs`. No window closes before all of them have been
   * heard from. Absent: there is one input.
   */
  readonly inputDelaysMs?: readonly number[];
}

/** The columns that say which window a result is of. */
export const windowColumns = ['window_start', 'window_end'] as const;

/** The schema of a window operator's results: the key, the window, the aggregates. Called once, when the plan is made. */
export function windowFields(
  { key, aggregates }: Pick<WindowDefinition, 'key' | 'aggregates'>,
  schema: Schema,
): readonly Field[] {
  const typeOf = (name: string): FieldType => schema.field(name)?.type ?? 'string';
  return [
    ...key.map((name): Field => ({ name, type: typeOf(name), presence: 'required' })),
    ...windowColumns.map((name): Field => ({ name, type: 'timestamp', presence: 'required' })),
    ...aggregates.map(({ name, spec, input, carried }): Field => {
      const of = spec.function === 'argMax' || spec.function === 'argMin' ? (carried?.[0] ?? null) : input;
      const type = answerType(spec.function, of === null ? null : typeOf(of));
      return { name, type, presence: 'optional' };
    }),
  ];
}
