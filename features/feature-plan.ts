import type { CompiledExpression } from '../engine/expression/compile-expression.ts';
import type { FieldType, Schema } from '../engine/record/schema.ts';
import type { DerivedColumn } from '../operators/derive/derive.ts';
import type { PaneRule, RollingAggregate, RollingDefinition } from '../operators/rolling/rolling-definition.ts';

/** One operator of a feature plan with the schema of what it gives. */
export type FeatureStep = DeriveStep | RollingStep;

/** Columns computed from others of the same record. */
export interface DeriveStep {
  readonly kind: 'derive';
  readonly columns: readonly DerivedColumn[];
  readonly output: Schema;
}

/** The rolling aggregates of one key whose inputs exist at this point: one state, one operator. */
export interface RollingStep {
  readonly kind: 'rolling';
  readonly definition: RollingDefinition;
  readonly output: Schema;
}

/** One column that a feature makes; `lastN` makes n of them. */
export interface FeatureColumn {
  readonly name: string;
  readonly type: FieldType;
  /** What the model gets where the column is null; `null`: it gets NaN, "missing". The column itself stays null. */
  readonly default: number | null;
}

/** What a planned feature of either kind has. */
interface PlannedCommon {
  readonly name: string;
  /** The file that declares it, for people. */
  readonly file: string;
  readonly columns: readonly FeatureColumn[];
  /** The fields and feature columns that it is computed from directly. */
  readonly reads: readonly string[];
}

/** A feature of one record. */
export interface DerivedFeature extends PlannedCommon {
  readonly kind: 'derived';
  readonly expression: CompiledExpression;
}

/** A feature over the records of an entity. */
export interface RollingFeature extends PlannedCommon {
  readonly kind: 'rolling';
  readonly key: readonly string[];
  readonly operatorId: string;
  readonly aggregate: RollingAggregate;
  /** How its records are kept in panes; `null`: each one is kept. */
  readonly panes: PaneRule | null;
  /** The expressions under its verb and its `where`; those that are more than a name are derived before the operator. */
  readonly arguments: readonly CompiledExpression[];
}

/** A declared feature, checked and in its place. */
export type PlannedFeature = DerivedFeature | RollingFeature;

/**
 * What a set of feature files comes to: operators in the order in which batches go through them. Frozen plain data, but for the compiled
 * expressions. The same plan makes the live operators, the replay and the ClickHouse SQL.
 */
export interface FeaturePlan {
  /** The source's fields. */
  readonly inputSchema: Schema;
  /** The source's fields, columns for arguments that are expressions (named by their text in parentheses), every feature column. */
  readonly outputSchema: Schema;
  readonly steps: readonly FeatureStep[];
  /** In the order of their declaration. */
  readonly features: readonly PlannedFeature[];
  /** Every feature's columns, in the order of their declaration. */
  readonly columns: readonly FeatureColumn[];
  readonly allowedLatenessMs: number;
  /** 64 hex digits over all features; see `feature-digest.ts`. */
  readonly digest: string;
}

/** How long the state of a rolling operator is kept behind the watermark (semantics, "State's life"); with panes, to the start of one. */
export function retentionMs(definition: RollingDefinition): number {
  const reachMs = Math.max(...definition.aggregates.map(({ overMs, delayMs }) => overMs + delayMs));
  return reachMs + definition.allowedLatenessMs + (definition.panes?.sizeMs ?? 0);
}
