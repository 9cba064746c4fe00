import type { Field, Schema } from '../../engine/record/schema.ts';

/** Which version of a key a record gets: the newest that is not later than the record, or the one that came last. */
export type AsOf = 'event-time' | 'latest';

/** What becomes of a record whose key the table does not have: it goes on with nulls, or is left out. */
export type Missing = 'keep' | 'drop';

/**
 * The look-up of records' keys in a table whose versions come in a stream of their own. Frozen plain data; its columns exist in the schema that the stream and the table share,
 * which the plan has checked.
 */
export interface EnrichDefinition {
  /** Names the state in the store; unique in the job and kept across its versions. */
  readonly operatorId: string;
  /** The number of the input whose records are the table's versions. */
  readonly table: number;
  /** The stream's column that is looked up. */
  readonly on: string;
  /** The table's column that it is looked up in. */
  readonly key: string;
  /** The table's columns that records are given. */
  readonly columns: readonly string[];
  readonly asOf: AsOf;
  readonly missing: Missing;
  /** How far behind the stream's watermark records may be that still find the version of their time. */
  readonly allowedLatenessMs: number;
  /** How many inputs there are; partition `p` is of input `p % inputCount` (`engine/source/merged`). */
  readonly inputCount: number;
  /** The number of the input whose records are looked up. */
  readonly stream: number;
}

/** What an enrichment adds to the schema: the table's columns, any of which may be null. Called once, when the plan is made. */
export function enrichedFields({ columns }: Pick<EnrichDefinition, 'columns'>, schema: Schema): readonly Field[] {
  return columns.map((name) => ({ name, type: schema.field(name)?.type ?? 'string', presence: 'optional' }));
}
