import { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { inputOfPartition, partitionInInput } from '../../engine/source/merged/input-partition.ts';
import { PartitionWatermarks, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';
import { ArrivalNumbers } from '../flow/arrival-numbers.ts';
import type { CountedFlow, FlowNode } from '../flow/flow.ts';
import { InputFlow } from '../flow/input-flow.ts';
import { MarkRule } from '../flow/marks.ts';
import { StageFlow, StepFlow } from '../flow/pipe-flow.ts';
import { columnOfInput } from './read-several.ts';
import type { NodeParts, OpenNode, StreamSource } from './stream-origin.ts';
import type { PlannedStep, StageRule } from './stream-plan.ts';

/** The records of one topic among all that a query reads; of a query of one topic, whole batches. */
export function openInput({ name, schema }: StreamSource, { inputs, start }: NodeParts): OpenNode {
  const input = inputs.findIndex((each) => each.name === name);
  const inputCount = inputs.length;
  const watermarks = start.watermarks
    .entries()
    .filter(({ partition }) => inputOfPartition(partition, inputCount) === input);
  const columns = schema.fields.map((field) => columnOfInput(name, field.name));
  return {
    node: inputCount === 1 ? wholeBatches : new InputFlow({ input, inputCount, columns, schema }),
    gives: 'records',
    watermarks,
    partitionOf: (partition) => partitionInInput(partition, inputCount),
  };
}

/** Builds planned operators over a flow, one behind the other. */
export function openSteps(origin: OpenNode, steps: readonly PlannedStep[], parts: NodeParts): OpenNode {
  let { node, gives, watermarks, partitionOf } = origin;
  const { state, arrivals } = parts;
  for (const planned of steps) {
    const rejected = gives === 'records' ? parts.rejected : new RejectedRecords('');
    const start = { ...parts.start, watermarks: new PartitionWatermarks(watermarks) };
    const opened = planned.open({ start, state, rejected, arrivals });
    const { logics } = opened;
    if (opened.kind === 'step') {
      node = new StepFlow({ node, gives, step: opened.step, logics, rejected });
      continue;
    }
    const { operator, stage } = opened;
    const { operatorId, marks, delayMs } = stage;
    const rule = new MarkRule({ ...stage, delayOf: () => delayMs, start: watermarks });
    const numbers = new ArrivalNumbers(operatorId, start);
    node = new StageFlow({ node, gives, operatorId, operator, logics, rejected, marks, rule, numbers, state });
    gives = 'results';
    watermarks = behindStage(stage, watermarks);
    if (stage.scope === 'query') partitionOf = () => 0;
  }
  return { node, gives, watermarks, partitionOf };
}

/** Where the watermarks stand that an operator's results carry. */
function behindStage({ scope, heldMs }: StageRule, before: readonly PartitionWatermark[]): PartitionWatermark[] {
  if (before.length === 0) return [];
  if (scope === 'query') return [{ partition: 0, watermarkMs: new PartitionWatermarks(before).minimumMs() - heldMs }];
  return before.map((each) => ({ ...each, watermarkMs: each.watermarkMs - heldMs }));
}

const wholeBatches: FlowNode = {
  logics: [],
  run: (records: RecordBatch): Promise<CountedFlow> =>
    Promise.resolve({
      records,
      causes: Int32Array.from(records.flags.keys()),
      taken: 0,
      filtered: 0,
      duplicate: 0,
      late: [],
      spoiled: [],
    }),
};
