import { strict as assert } from 'node:assert';
import { concatMap, type OperatorFunction } from 'rxjs';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import type { Emitted } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { partitionInInput } from '../../engine/source/merged/input-partition.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { emittedOf } from '../../operators/flow/emit-flow.ts';
import { InputFlow } from '../../operators/flow/input-flow.ts';
import { JoinFlow, type JoinInput } from '../../operators/flow/join-flow.ts';
import { inputColumn } from '../../operators/join/join-definition.ts';
import type { JoinOutputs } from '../../operators/join/join-logic.ts';
import type { InputsPlan, JoinPlan, OneJoinPlan } from '../inputs-plan.ts';

/** The joins of a chain, as one operator over the records of all inputs. */
export interface OpenChain {
  readonly emit: OperatorFunction<RecordBatch, Emitted>;
  readonly logics: readonly StatefulLogic[];
}

/** Opens a chain of joins: what comes out of each is the left side of the next, in the order in which the records that brought it out were read. */
export function openChain(
  { inputs }: InputsPlan,
  { before, order, ...last }: JoinPlan,
  outputs: JoinOutputs,
  start: SectionStart,
  state: StateReader,
): OpenChain {
  const inputOf = (name: string | undefined): JoinInput & { readonly fields: readonly Field[] } => {
    const input = inputs.findIndex((each) => each.name === name);
    const found = inputs[input];
    assert(found !== undefined, 'a chain joins inputs of the job');
    const fields = found.schema.fields.map((field): Field => ({ ...field, name: `${found.name}.${field.name}` }));
    const columns = fields.map((field) => field.name);
    const inputCount = inputs.length;
    return {
      node: new InputFlow({ input, inputCount, columns, schema: new Schema(fields) }),
      gives: 'records',
      partitionOf: (partition) => partitionInInput(partition, inputCount),
      fields,
    };
  };
  const first = inputOf(order[0]);
  let left: JoinInput = first;
  let leftFields = first.fields;
  let joined: JoinFlow | null = null;
  const plans: readonly OneJoinPlan[] = [...before, last];
  for (const [index, { definition, condition, outputSchema }] of plans.entries()) {
    const right = inputOf(order[index + 1]);
    const isLast = index === plans.length - 1;
    joined = new JoinFlow(
      {
        definition,
        condition,
        schema: new Schema([{ name: inputColumn, type: 'long', presence: 'required' }, ...leftFields, ...right.fields]),
        left,
        right,
        outputs: isLast ? outputs : 'results and marks',
        rows: isLast ? 'as they are' : 'numbered',
      },
      start,
      state,
    );
    left = { node: joined, gives: 'results', partitionOf: () => 0 };
    leftFields = outputSchema.fields;
  }
  assert(joined !== null, 'a chain has joins');
  const chain = joined;
  const marks = outputs === 'results' ? 'left out' : 'passed on';
  return {
    logics: chain.logics,
    emit: concatMap(async (batch) => emittedOf(await chain.run(batch), batch, 'results', marks)),
  };
}
