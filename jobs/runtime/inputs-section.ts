import { strict as assert } from 'node:assert';
import { concatMap, map, of } from 'rxjs';
import type { SectionStart } from '../../engine/execution/query-definition.ts';
import { runSection, type Section, type SectionStep } from '../../engine/execution/section.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { DedupeLogic } from '../../operators/dedupe/dedupe-logic.ts';
import { emitJoin } from '../../operators/join/emit-join.ts';
import { JoinLogic, type JoinOutputs } from '../../operators/join/join-logic.ts';
import { applyLogic } from '../../operators/stateful/apply-logic.ts';
import type { InputsPlan, JoinPlan, SelectPlan } from '../inputs-plan.ts';
import { openChain, type OpenChain } from './join-chain.ts';

/**
 * The operators of a job of several inputs: each input's duplicates out, the join, if there is one, what is selected of its results, and what the job does with those. Built anew for each acquisition of a
 * task, as `featureSection` is.
 *
 * @param behind the operators over what comes out; behind a join, built over no watermarks: results carry their own.
 */
export function inputsSection(plan: InputsPlan, behind: Section, start: SectionStart, state: StateReader): Section {
  const { join, select } = plan;
  const { steps, logics } = duplicateSteps(plan, start, state);
  if (join === null) return { ...behind, steps: [...steps, ...behind.steps], logics: [...logics, ...behind.logics] };
  const hasWindows = behind.emit !== undefined;
  const outputs = hasWindows ? 'results and marks' : 'results';
  const { emit, logics: joins } = openJoins(plan, join, outputs, start, state);
  const selected = select === null ? keep : selectColumns(select);
  const placed = hasWindows ? inOnePartition : keep;
  return {
    steps,
    logics: [...logics, ...joins, ...behind.logics],
    emit: (batches) =>
      batches.pipe(
        emit,
        concatMap((emitted) =>
          of(placed(selected(emitted.records))).pipe(
            runSection(behind),
            map(({ records, absorbed }) => {
              assert(
                (absorbed?.late.rowCount ?? 0) === 0,
                'a result of a join is never late: its watermark waits for it',
              );
              return { ...emitted, records };
            }),
          ),
        ),
      ),
  };
}

function openJoins(
  plan: InputsPlan,
  join: JoinPlan,
  outputs: JoinOutputs,
  start: SectionStart,
  state: StateReader,
): OpenChain {
  if (join.before.length > 0) return openChain(plan, join, outputs, start, state);
  const logic = new JoinLogic(join.definition, plan.schema, join.condition, start, outputs);
  return { emit: emitJoin(logic, state), logics: [logic] };
}

/** What drops the repeated records of each input that has such. */
export function duplicateSteps(
  { inputs, duplicates }: InputsPlan,
  start: SectionStart,
  state: StateReader,
): { readonly steps: readonly SectionStep[]; readonly logics: readonly StatefulLogic[] } {
  const steps: SectionStep[] = [];
  const logics: StatefulLogic[] = [];
  for (const [index, { name, source }] of inputs.entries()) {
    const column = duplicates[index] ?? null;
    if (source.duplicates === null || column === null) continue;
    const { withinMs } = source.duplicates;
    // Of records of other inputs the column is null, and so they are nobody's duplicates.
    const logic = new DedupeLogic({ operatorId: `duplicates-${name}`, by: [column], withinMs }, start);
    logics.push(logic);
    steps.push({ operator: applyLogic(logic, state), fate: 'duplicate' });
  }
  return { steps, logics };
}

const keep = (batch: RecordBatch): RecordBatch => batch;

/** Results with the watermark of the join, whatever partition the record is from that brought them out: there is one watermark for all of them. */
function inOnePartition(batch: RecordBatch): RecordBatch {
  return { ...batch, partitions: new Int32Array(batch.rowCount) };
}

/** Results with the columns that the job selects, computed from theirs. */
function selectColumns({ columns, outputSchema }: SelectPlan): (batch: RecordBatch) => RecordBatch {
  const keptCount = outputSchema.fields.length - columns.length;
  return (batch) => ({
    ...batch,
    schema: outputSchema,
    columns: [...batch.columns.slice(0, keptCount), ...columns.map(({ expression }) => expression.evaluate(batch))],
  });
}
