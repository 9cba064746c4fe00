import type { Schema } from '../engine/record/schema.ts';
import { derivedSchema, type DerivedColumn } from '../operators/derive/derive.ts';
import { rollingFields } from '../operators/rolling/rolling-layout.ts';
import type { FeaturePlan, FeatureStep, RollingStep } from './feature-plan.ts';
import { groupSteps, type KeyedStep } from './group-steps.ts';

/** The steps of a plan that can run where records are kept together by some fields. */
export interface PlanPart {
  /** Records with the same values of these fields must reach the same state, in order. */
  readonly key: readonly string[];
  /** What it is given: the source's fields, and what rolling operators of the parts before have answered. */
  readonly inputSchema: Schema;
  readonly steps: readonly FeatureStep[];
  /** What the next part must be given: this part's input and the answers of its own rolling operators. What was derived is derived again where it is read. */
  readonly passes: Schema;
}

/**
 * Splits a plan for tasks that each have state of their own and the records of their own keys only. The parts run one after another; the first has the
 * records' key, and there are as few as the features allow. Each rolling operator is in one part, whole, so that it keeps its rows as long as in the plan that
 * was not split, and flags the same records. Run over the same records in the same order, the last part gives every column of the plan, with the same bits.
 *
 * @param firstKey the fields that keep records together where they come from.
 */
export function splitPlan(plan: FeaturePlan, firstKey: readonly string[]): readonly PlanPart[] {
  const derived = new Map(
    plan.steps.flatMap((step) => (step.kind === 'derive' ? step.columns.map((column) => [column.name, column]) : [])),
  );
  const groups = groupSteps(keyedSteps(plan, derived), firstKey);
  let inputSchema = plan.inputSchema;
  return groups.map(({ key, steps }, index) => {
    const part = layOutPart(inputSchema, steps, derived, index === groups.length - 1 ? 'last' : 'other');
    const given = inputSchema;
    inputSchema = part.passes;
    return Object.freeze({ key, inputSchema: given, ...part });
  });
}

/** The rolling steps of a plan with what each must wait for: the rolling steps whose answers it reads, directly or through what is derived of them. */
function keyedSteps(plan: FeaturePlan, derived: ReadonlyMap<string, DerivedColumn>): readonly KeyedStep<RollingStep>[] {
  const makerOf = new Map<string, number>();
  const keyed: KeyedStep<RollingStep>[] = [];
  let schema = plan.inputSchema;
  for (const step of plan.steps) {
    if (step.kind === 'rolling') {
      const needs = new Set<number>();
      const visit = (name: string): void => {
        const maker = makerOf.get(name);
        if (maker !== undefined) needs.add(maker);
        derived.get(name)?.expression.reads.forEach(visit);
      };
      readsOf(step).forEach(visit);
      for (const { name } of rollingFields(step.definition, schema)) makerOf.set(name, keyed.length);
      keyed.push({ step, key: step.definition.key, needs });
    }
    schema = step.output;
  }
  return keyed;
}

/** The columns that a rolling step reads. */
function readsOf({ definition: { key, aggregates } }: RollingStep): readonly string[] {
  return [...key, ...aggregates.flatMap(({ input, where }) => [input, where].filter((name) => name !== null))];
}

/** Puts what has to be derived before each rolling step; in the last part, everything that is left at its end. */
function layOutPart(
  inputSchema: Schema,
  rolling: readonly RollingStep[],
  derived: ReadonlyMap<string, DerivedColumn>,
  place: 'last' | 'other',
): Pick<PlanPart, 'steps' | 'passes'> {
  const steps: FeatureStep[] = [];
  let current = inputSchema;
  let passes = inputSchema;
  const derive = (names: Iterable<string>): void => {
    const wanted = new Set<DerivedColumn>();
    const visit = (name: string): void => {
      const column = derived.get(name);
      if (column === undefined || wanted.has(column) || current.indexOf(name) >= 0) return;
      column.expression.reads.forEach(visit);
      wanted.add(column);
    };
    for (const name of names) visit(name);
    if (wanted.size === 0) return;
    const columns = Object.freeze([...wanted]);
    current = derivedSchema(columns, current);
    steps.push(Object.freeze({ kind: 'derive', columns, output: current }));
  };
  for (const { definition } of rolling) {
    derive(readsOf({ kind: 'rolling', definition, output: current }));
    const answers = rollingFields(definition, current);
    current = current.with(...answers);
    passes = passes.with(...answers);
    steps.push(Object.freeze({ kind: 'rolling', definition, output: current }));
  }
  if (place === 'last') derive(derived.keys());
  return { steps: Object.freeze(steps), passes };
}
