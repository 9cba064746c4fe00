import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { Lift } from '../../engine/source/merged/lift.ts';
import type { DerivedColumn } from '../../operators/derive/derive.ts';
import type { EnrichDefinition } from '../../operators/enrich/enrich-definition.ts';
import type { JoinDefinition } from '../../operators/join/join-definition.ts';
import type { FileOrigin, SourceCommon, TopicOrigin } from './source-definition.ts';

/** One of several inputs after every check. Frozen. */
export interface InputDefinition {
  /** As the job calls it. */
  readonly name: string;
  readonly source: SourceCommon & (TopicOrigin | FileOrigin);
  /** Of its records, by its own names. */
  readonly schema: Schema;
  /** How its records become those of the schema that all inputs share. */
  readonly lift: Lift;
  /** What the job fills its topic from; `null` where others do. */
  readonly copyOf: TableCopyDefinition | null;
}

/** A table's topic as the copy of what a ClickHouse query gives. Frozen. */
export interface TableCopyDefinition {
  /** Gives a row for each key: the table's fields by name. */
  readonly query: string;
  /** How often it is asked. */
  readonly everyMs: number;
}

/** One join after every check: what the operator is made of, and what comes out of it. Frozen. */
export interface OneJoinPlan {
  readonly definition: JoinDefinition;
  /** What must hold for two records to be partners, beside key and time; `null`: nothing. */
  readonly condition: CompiledExpression | null;
  /** Of its results. */
  readonly outputSchema: Schema;
}

/** A job's joins: the last of them, and those before it, each of which is the left side of the next. Frozen. */
export interface JoinPlan extends OneJoinPlan {
  /** Empty for a join of two inputs, whose definition numbers all inputs of the job; those of a chain number their own two sides. */
  readonly before: readonly OneJoinPlan[];
  /** The inputs in the order in which they are joined. */
  readonly order: readonly string[];
}

/** Several inputs as one stream: their records under one schema, what is done with them, and what comes out. Frozen. */
export interface InputsPlan {
  readonly inputs: readonly InputDefinition[];
  /** Of the records of all inputs. For a join, in the names that say which input's they are; columns that a plan made for itself have names that begin with "(". */
  readonly schema: Schema;
  /** `null` for a union: records go on as they are. */
  readonly join: JoinPlan | null;
  /** The tables that records are looked up in; `null` where there are none. The last input is then the stream. */
  readonly enriched: EnrichPlan | null;
  /** The column by which an input's repeated records are known, in the order of the inputs; `null` for one that says nothing of them. */
  readonly duplicates: readonly (string | null)[];
  /** What is published of the results, beside their key and event time; `null`: everything. */
  readonly select: SelectPlan | null;
}

/** A job's look-ups in tables after every check. Frozen. */
export interface EnrichPlan {
  readonly definitions: readonly EnrichDefinition[];
  /** Of the stream's records with what was looked up for them. */
  readonly outputSchema: Schema;
  /** The columns that those come from, behind the last look-up. */
  readonly columns: readonly string[];
}

/** Columns that take the place of a record's own. */
export interface SelectPlan {
  readonly columns: readonly DerivedColumn[];
  /** Of what comes out: the key, the event time, the columns. */
  readonly outputSchema: Schema;
}
