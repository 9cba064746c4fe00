import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { deriveColumns } from '../../operators/derive/derive.ts';
import { RollingLogic } from '../../operators/rolling/rolling-logic.ts';
import type { FeaturePlan } from '../feature-plan.ts';

/** The steps of a plan from empty state as one function over batches, for tests that have no job around them. */
export function runPlan(plan: FeaturePlan): (batch: RecordBatch) => RecordBatch {
  let schema = plan.inputSchema;
  const steps = plan.steps.map((step) => {
    const input = schema;
    schema = step.output;
    if (step.kind === 'derive') return deriveColumns(step.columns, input);
    const logic = new RollingLogic(step.definition, input, { state: 'empty', watermarks: new PartitionWatermarks() });
    return (batch: RecordBatch): RecordBatch => logic.apply(batch);
  });
  return (batch) => steps.reduce((current, step) => step(current), batch);
}
