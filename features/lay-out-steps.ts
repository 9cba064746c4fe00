import type { CompiledExpression } from '../engine/expression/compile-expression.ts';
import type { Schema } from '../engine/record/schema.ts';
import { derivedSchema, type DerivedColumn } from '../operators/derive/derive.ts';
import { formatDuration } from '../engine/time/duration.ts';
import type { PaneRule, RollingAggregate, RollingDefinition } from '../operators/rolling/rolling-definition.ts';
import { rollingFields } from '../operators/rolling/rolling-layout.ts';
import { argumentColumn, isName } from './argument-column.ts';
import type { FeatureStep, PlannedFeature } from './feature-plan.ts';

/** Where everything went. */
export interface StepLayout {
  readonly steps: readonly FeatureStep[];
  /** The features with the ids of their operators, by name. */
  readonly placed: ReadonlyMap<string, PlannedFeature>;
}

/** What happens at one level: columns are derived first, then the rolling operators run, one a key. */
interface Level {
  readonly derived: Map<string, CompiledExpression>;
  readonly rolling: Map<string, Rolling>;
}

/** The rolling features that share an operator. */
interface Rolling {
  readonly key: readonly string[];
  readonly panes: PaneRule | null;
  readonly aggregates: RollingAggregate[];
}

/**
 * Puts features on the lowest level at which everything they read exists:
 *
 *     level 0:  derive from fields   → rolling over fields and what was derived
 *     level 1:  derive from rolling  → rolling over that
 *     …
 *
 * All rolling features of one key, level and resolution are one operator with one state, so most jobs have one operator for each entity, and a second
 * only where a window is taken over what another window gave.
 *
 * @param features each after what it reads.
 */
export function layOutSteps(
  features: readonly PlannedFeature[],
  schema: Schema,
  allowedLatenessMs: number,
): StepLayout {
  /** The level from which on a column can be read. Fields are there from level 0 on. */
  const readableFrom = new Map<string, number>();
  const levelOf = (reads: readonly string[]): number =>
    Math.max(0, ...reads.map((name) => readableFrom.get(name) ?? 0));
  const levels: Level[] = [];
  const levelAt = (index: number): Level => {
    for (let next = levels.length; next <= index; next++) levels.push({ derived: new Map(), rolling: new Map() });
    const level = levels[index];
    if (level === undefined) throw new RangeError('levels up to the index were just made');
    return level;
  };
  const placed = new Map<string, PlannedFeature>();
  for (const feature of features) {
    const index = levelOf(feature.reads);
    if (feature.kind === 'derived') {
      levelAt(index).derived.set(feature.name, feature.expression);
      readableFrom.set(feature.name, index);
      placed.set(feature.name, feature);
      continue;
    }
    for (const argument of feature.arguments) {
      if (!isName(argument)) levelAt(levelOf(argument.reads)).derived.set(argumentColumn(argument), argument);
    }
    const { key, panes } = feature;
    const operatorId = `${key.join('+')}/${index}${panes === null ? '' : paneSuffix(panes)}`;
    const { rolling } = levelAt(index);
    const operator = rolling.get(operatorId) ?? { key, panes, aggregates: [] };
    rolling.set(operatorId, operator);
    operator.aggregates.push(feature.aggregate);
    for (const { name } of feature.columns) readableFrom.set(name, index + 1);
    placed.set(feature.name, { ...feature, operatorId });
  }
  return { steps: stepsOf(levels, schema, allowedLatenessMs), placed };
}

/** Each resolution has a state of its own. */
function paneSuffix({ sizeMs, aboveRecords }: PaneRule): string {
  const above = aboveRecords === undefined ? '' : `-above-${aboveRecords}`;
  return `@${formatDuration(sizeMs)}${above}`;
}

function stepsOf(levels: readonly Level[], schema: Schema, allowedLatenessMs: number): readonly FeatureStep[] {
  const steps: FeatureStep[] = [];
  let current = schema;
  for (const { derived, rolling } of levels) {
    if (derived.size > 0) {
      const columns: DerivedColumn[] = Array.from(derived, ([name, expression]) => ({ name, expression }));
      current = derivedSchema(columns, current);
      steps.push(Object.freeze({ kind: 'derive', columns: Object.freeze(columns), output: current }));
    }
    // Sorted, since the order decides how state is stored, and moving a line in a file must not make stored state another.
    for (const [operatorId, { key, panes, aggregates }] of [...rolling].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
      const definition: RollingDefinition = Object.freeze({
        operatorId,
        key: Object.freeze([...key]),
        aggregates: Object.freeze(aggregates.toSorted((a, b) => (a.name < b.name ? -1 : 1))),
        allowedLatenessMs,
        ...(panes === null ? {} : { panes }),
      });
      current = current.with(...rollingFields(definition, current));
      steps.push(Object.freeze({ kind: 'rolling', definition, output: current }));
    }
  }
  return Object.freeze(steps);
}
