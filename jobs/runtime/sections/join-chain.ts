import { strict as assert } from 'node:assert';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Emitted } from '../../../engine/execution/section.ts';
import type { DeadLetter } from '../../../engine/record/dead-letter.ts';
import { columnOf, type RecordBatch } from '../../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../../engine/record/schema.ts';
import { partitionInInput } from '../../../engine/source/merged/input-partition.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import type { HoldRule } from '../../../engine/time/partition-watermarks.ts';
import { emittedOf } from '../../../operators/flow/emit-flow.ts';
import type { CountedFlow, FlowNode } from '../../../operators/flow/flow.ts';
import { InputFlow } from '../../../operators/flow/input-flow.ts';
import { JoinFlow, type JoinInput } from '../../../operators/flow/join-flow.ts';
import { ReadResults } from '../../../operators/flow/read-results.ts';
import { inputColumn } from '../../../operators/join/join-definition.ts';
import type { JoinOutputs } from '../../../operators/join/join-logic.ts';
import type { InputsPlan, JoinPlan } from '../../plan/inputs-plan.ts';

/** Which joins of a chain one task does: all of them where one process reads all inputs. */
export interface ChainPart {
  /** From the join of the first number up to the one before the second. */
  readonly from: number;
  readonly to: number;
  /** How many kinds of partitions the task's records are of, by which these are numbered: the inputs', and, where the first join is not the chain's, those of its results so far. */
  readonly sides: number;
}

/** All joins of a job, over the records of its inputs. */
export function wholeChain({ inputs, join }: InputsPlan): ChainPart {
  return { from: 0, to: join === null ? 0 : join.before.length + 1, sides: inputs.length };
}

/** One side of a join, with the fields of its rows. */
interface ChainSide extends JoinInput {
  readonly fields: readonly Field[];
  /** See `SectionStart`; absent where the side's partitions are read directly. */
  readonly hold: HoldRule | undefined;
}

/** Results within one task are in one place. */
const ofOneTask: HoldRule = { writers: 1, maxLagMs: Infinity, heard: 'unbounded' };

/** Opens joins of a chain: what comes out of each is the left side of the next, in the order in which the records that brought it out were read. */
export function openChain(
  { inputs }: InputsPlan,
  { before, order, ...last }: JoinPlan,
  { from, to, sides }: ChainPart,
  outputs: JoinOutputs,
  start: SectionStart,
  state: StateReader,
): FlowNode {
  const plans = [...before, last];
  const sideOf = (side: number, fields: readonly Field[]): ChainSide & { readonly node: InputFlow } => ({
    node: new InputFlow({
      input: side,
      inputCount: sides,
      columns: fields.map(({ name }) => name),
      schema: new Schema(fields),
    }),
    gives: 'records',
    partitionOf: (partition) => partitionInInput(partition, sides),
    fields,
    hold: start.holds?.[side],
  });
  const inputAt = (place: number): ChainSide => {
    const input = inputs.findIndex(({ name }) => name === order[place]);
    const found = inputs[input];
    assert(found !== undefined, 'a chain joins inputs of the job');
    return sideOf(
      input,
      found.schema.fields.map((field): Field => ({ ...field, name: `${found.name}.${field.name}` })),
    );
  };
  const resultsSoFar = (): ChainSide => {
    const side = sideOf(inputs.length, plans[from - 1]?.outputSchema.fields ?? []);
    return { ...side, node: new ReadResults(side.node), gives: 'results' };
  };
  let left: ChainSide = from === 0 ? inputAt(0) : resultsSoFar();
  for (let at = from; at < to; at++) {
    const plan = plans[at];
    assert(plan !== undefined, 'the chain has such a join');
    const right = inputAt(at + 1);
    const isLast = at === to - 1;
    const holds = left.hold === undefined || right.hold === undefined ? {} : { holds: [left.hold, right.hold] };
    const node = new JoinFlow(
      {
        definition: plan.definition,
        condition: plan.condition,
        schema: new Schema([
          { name: inputColumn, type: 'long', presence: 'required' },
          ...left.fields,
          ...right.fields,
        ]),
        left,
        right,
        outputs: isLast ? outputs : 'results and marks',
        rows: isLast ? 'as they are' : 'numbered',
      },
      { state: start.state, ...holds },
      state,
    );
    const hold = start.holds === undefined ? undefined : ofOneTask;
    left = { node, gives: 'results', partitionOf: () => 0, fields: plan.outputSchema.fields, hold };
  }
  return left.node;
}

/** What has become of a batch in a part of a chain, for the batch loop: everything under the positions in the job's inputs of what brought it out. */
export function emittedAt(
  { from }: ChainPart,
  flow: CountedFlow,
  batch: RecordBatch,
  marks: 'left out' | 'passed on',
): Emitted {
  if (from === 0) return emittedOf(flow, batch, 'results', marks);
  const partitions = columnOf(batch, passengers.inputPartition);
  const offsets = columnOf(batch, passengers.inputOffset);
  assert(partitions.kind === 'number' && offsets.kind === 'number', 'positions are numbers');
  const read = { ...batch, partitions: Int32Array.from(partitions.values), offsets: offsets.values };
  // No two messages of an exchange's partition have one offset.
  const spoiled = flow.spoiled.map((letter): DeadLetter => {
    const row = batch.offsets.indexOf(letter.offset);
    return { ...letter, partition: read.partitions[row] ?? 0, offset: read.offsets[row] ?? 0 };
  });
  return emittedOf({ ...flow, spoiled }, read, 'results', marks);
}
