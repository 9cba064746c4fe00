import { strict as assert } from 'node:assert';
import { concatMap } from 'rxjs';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import { arrivedSchema } from '../../../engine/exchange/arrivals.ts';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import { numberColumn } from '../../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import { liftRecords, type LiftedField } from '../../../engine/source/merged/lift.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { inputColumn } from '../../../operators/join/join-definition.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';
import { duplicateSteps } from './duplicate-steps.ts';
import { emittedAt, openChain, type ChainPart } from './join-chain.ts';

/**
 * The operators of a task that joins some of a job's inputs and hands the results on: each input's duplicates out, the joins, and between their results how far the watermark is. Built anew for each
 * acquisition of the task.
 *
 * @param columns those of the link that the results go to.
 */
export function handingOnSection(
  plan: InputsPlan,
  part: ChainPart,
  columns: Schema,
  start: SectionStart,
  state: StateReader,
): Section {
  const { inputs, join } = plan;
  assert(join !== null, 'results are those of a join');
  const { steps, logics } = duplicateSteps(plan, start, state, part);
  const node = openChain(plan, join, part, 'results and marks', start, state);
  const given = [...join.before, join][part.to - 1]?.outputSchema;
  const lift = columns.fields.map(({ name }): LiftedField => {
    if (name === inputColumn) return 'input number';
    return given?.field(name) === undefined ? null : { column: name };
  });
  const common = columns.with({ name: passengers.eventTime, type: 'timestamp', presence: 'required' });
  const output = arrivedSchema(common);
  const handedOn = (records: RecordBatch, arrivals: Float64Array): RecordBatch => {
    const lifted = liftRecords(records, inputs.length, [...lift, 'event time'], common);
    return withColumns(lifted, output, [numberColumn(arrivals)]);
  };
  return {
    steps,
    logics: [...logics, ...node.logics],
    emit: concatMap(async (batch) => {
      const flow = await node.run(batch);
      const emitted = emittedAt(part, flow, batch, 'passed on');
      const arrived = columnOf(batch, passengers.arrival);
      assert(arrived.kind === 'number', 'arrivals are numbers');
      // A result was there when the record was that brought it out.
      const arrivals = Float64Array.from(flow.causes, (row) => arrived.values[row] ?? -1);
      return { ...emitted, records: handedOn(emitted.records, arrivals) };
    }),
  };
}
