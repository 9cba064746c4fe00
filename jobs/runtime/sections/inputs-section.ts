import { strict as assert } from 'node:assert';
import { concatMap, lastValueFrom, map, of, type OperatorFunction } from 'rxjs';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import { runSection, type Emitted, type Section, type SectionStep } from '../../../engine/execution/section.ts';
import { selectRows, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../../engine/state/stateful-logic.ts';
import { causesWithin, isMark } from '../../../operators/flow/flow.ts';
import { betweenMarks } from '../../../operators/flow/marks.ts';
import { SessionLogic } from '../../../operators/sessionise/session-logic.ts';
import { emitWith } from '../../../operators/stateful/emit-logic.ts';
import { JoinLogic, type JoinOutputs } from '../../../operators/join/join-logic.ts';
import type { InputsPlan, JoinPlan, SelectPlan } from '../../plan/inputs-plan.ts';
import { duplicateSteps } from './duplicate-steps.ts';
import { emittedAt, openChain, wholeChain, type ChainPart } from './join-chain.ts';

/**
 * The operators of a job of several inputs: each input's duplicates out, the join, if there is one, what is selected of its results, and what the job does with those. Built anew for each acquisition of a
 * task, as `featureSection` is.
 *
 * @param behind the operators over what comes out; behind a join, built over no watermarks: results carry their own.
 * @param part which of the job's joins are done here; absent for all of them.
 */
export function inputsSection(
  plan: InputsPlan,
  behind: Section,
  start: SectionStart,
  state: StateReader,
  part: ChainPart = wholeChain(plan),
): Section {
  const { join, select } = plan;
  const { steps, logics } = duplicateSteps(plan, start, state, part);
  if (join === null) return { ...behind, steps: [...steps, ...behind.steps], logics: [...logics, ...behind.logics] };
  // What may fail on a result must know where it came from; whatever waits for the watermark must have it.
  const waits = behind.emit !== undefined && behind.rejected === undefined;
  const outputs = waits ? 'results and marks' : 'results';
  const { emit, logics: joins } = openJoins(plan, join, part, outputs, start, state);
  const selected = select === null ? keep : selectColumns(select);
  const tellsSessions = behind.logics.some((logic) => logic instanceof SessionLogic);
  const placed = waits || tellsSessions ? inOnePartition : keep;
  const stepped = waits ? besideMarks(behind.steps) : null;
  const onward = stepped === null ? behind : { ...behind, steps: [] };
  return {
    steps,
    logics: [...logics, ...joins, ...behind.logics],
    emit: (batches) =>
      batches.pipe(
        emit,
        concatMap(async (emitted) => {
          const given = placed(selected(emitted.records));
          return { emitted, results: stepped === null ? given : await stepped(given) };
        }),
        concatMap(({ emitted, results }) =>
          of(results).pipe(
            runSection(onward),
            map(({ records, absorbed, deadLetters }): Emitted => {
              assert(
                (absorbed?.late.rowCount ?? 0) === 0,
                'a result of a join is never late: its watermark waits for it',
              );
              return { ...emitted, records, spoiled: [...(emitted.spoiled ?? []), ...deadLetters] };
            }),
          ),
        ),
      ),
  };
}

/** Steps over a join's results alone: rows that are none go by them, and stay where they were among the others. */
function besideMarks(steps: readonly SectionStep[]): (batch: RecordBatch) => Promise<RecordBatch> {
  const run = runSection({ steps, logics: [] });
  return async (batch) => {
    const rows = Int32Array.from(batch.flags.keys()).filter((row) => !isMark(batch, row));
    const given = selectRows(batch, rows);
    const { records } = await lastValueFrom(of(given).pipe(run));
    const kept = causesWithin(records, given).map((row) => rows[row] ?? 0);
    return betweenMarks(records, kept, { records: batch, causes: Int32Array.from(batch.flags.keys()) }).records;
  };
}

function openJoins(
  plan: InputsPlan,
  join: JoinPlan,
  part: ChainPart,
  outputs: JoinOutputs,
  start: SectionStart,
  state: StateReader,
): OpenJoins {
  if (join.before.length === 0) {
    const logic = new JoinLogic(join.definition, plan.schema, join.condition, start, outputs);
    return { emit: emitWith(logic, state), logics: [logic] };
  }
  const node = openChain(plan, join, part, outputs, start, state);
  const marks = outputs === 'results' ? 'left out' : 'passed on';
  const emit = concatMap(async (batch: RecordBatch) => emittedAt(part, await node.run(batch), batch, marks));
  return { emit, logics: node.logics };
}

/** The joins of a job, as one operator over the records of all inputs. */
interface OpenJoins {
  readonly emit: OperatorFunction<RecordBatch, Emitted>;
  readonly logics: readonly StatefulLogic[];
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
