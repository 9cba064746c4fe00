import { strict as assert } from 'node:assert';
import { concatMap, map, of } from 'rxjs';
import type { SectionStart } from '../../../engine/execution/query-definition.ts';
import { runSection, type Emitted, type Section, type SectionResult } from '../../../engine/execution/section.ts';
import { isValid, type Column } from '../../../engine/record/column.ts';
import {
  columnOf,
  LATE,
  MARK,
  selectRows,
  type IdlePartition,
  type RecordBatch,
} from '../../../engine/record/record-batch.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import { inputOfPartition } from '../../../engine/source/merged/input-partition.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../../engine/time/partition-watermarks.ts';
import { EnrichLogic } from '../../../operators/enrich/enrich-logic.ts';
import { inputColumn } from '../../../operators/join/join-definition.ts';
import type { EnrichPlan, InputsPlan } from '../../plan/inputs-plan.ts';
import { duplicateSteps } from './duplicate-steps.ts';

/** Where what is done with the records starts: from the watermarks of the stream's partitions alone, since tables hold nothing back that is computed of records. */
export function streamStart({ inputs }: InputsPlan, { state, watermarks, holds }: SectionStart): SectionStart {
  const stream = inputs.length - 1;
  const hold = holds?.[stream];
  const own = watermarks.entries().filter(({ partition }) => inputOfPartition(partition, inputs.length) === stream);
  return { state, watermarks: new PartitionWatermarks(own, hold), ...(hold === undefined ? {} : { hold }) };
}

/**
 * The operators of a job whose records are looked up in tables: duplicates out, the tables' versions in, the look-ups, and what the job does with the records then. Built anew for each
 * acquisition of a task.
 *
 * @param behind the operators over the records, built over the stream's watermarks.
 */
export function enrichSection(plan: InputsPlan, behind: Section, start: SectionStart, state: StateReader): Section {
  const { schema, enriched } = plan;
  assert(enriched !== null, 'a job that looks nothing up has no such section');
  const duplicates = duplicateSteps(plan, start, state);
  const logics: EnrichLogic[] = [];
  let seen: Schema = schema;
  for (const definition of enriched.definitions) {
    const logic = new EnrichLogic(definition, seen, start);
    logics.push(logic);
    seen = logic.outputSchema;
  }
  const stream = plan.inputs.length - 1;
  const marks = behind.emit === undefined ? 'dropped' : 'passed on';
  const lookUp = async (batch: RecordBatch): Promise<LookedUp> => {
    let [records, absorbed, dropped] = [batch, 0, 0];
    for (const logic of logics) {
      await logic.prefetch(records, state);
      const result = logic.enrich(records);
      records = result.records;
      absorbed += result.absorbed;
      dropped += result.dropped;
    }
    const idle = (batch.idle ?? []).filter(({ partition }) => inputOfPartition(partition, stream + 1) === stream);
    return { records, absorbed, dropped, idle };
  };
  // What it rejects is this section's: it is in no other count.
  const { rejected, ...onward } = behind;
  return {
    steps: duplicates.steps,
    logics: [...duplicates.logics, ...logics, ...behind.logics],
    ...(rejected === undefined ? {} : { rejected }),
    emit: (batches) =>
      batches.pipe(
        concatMap(lookUp),
        concatMap(({ records, absorbed, dropped, idle }) => {
          const own = ofStream(records, stream, marks);
          const lookedAt = withoutTables(own.records, enriched);
          return of(idle.length === 0 ? lookedAt : { ...lookedAt, idle }).pipe(
            runSection(onward),
            map((result) => counted(result, absorbed, dropped + own.others)),
          );
        }),
      ),
  };
}

/** A batch that was gone through the tables. */
interface LookedUp {
  readonly records: RecordBatch;
  readonly absorbed: number;
  readonly dropped: number;
  /** Those of the stream's partitions that are idle: tables hold nothing back. */
  readonly idle: readonly IdlePartition[];
}

/** What became of a batch's rows, its tables' among them. */
function counted({ records, filtered, absorbed }: SectionResult, versions: number, dropped: number): Emitted {
  if (absorbed !== null) {
    return { records, taken: versions + absorbed.taken, filtered: dropped + filtered, late: absorbed.late };
  }
  // A job that answers each record answers late ones, too, and counts them as such.
  const late = Array.from(records.flags.keys()).filter((row) => ((records.flags[row] ?? 0) & LATE) !== 0);
  const taken = versions + records.rowCount - late.length;
  return { records, taken, filtered: dropped + filtered, late: selectRows(records, Int32Array.from(late)) };
}

/** The rows of the stream. Others move watermarks alone: for windows they are marked as such, for everybody else left out. */
function ofStream(
  batch: RecordBatch,
  stream: number,
  marks: 'passed on' | 'dropped',
): { readonly records: RecordBatch; readonly others: number } {
  const inputs = columnOf(batch, inputColumn);
  assert(inputs.kind === 'number');
  const isOwn = (row: number): boolean => isValid(inputs, row) && inputs.values[row] === stream;
  const isKept = (row: number): boolean =>
    isOwn(row) || (marks === 'passed on' && inputOfPartition(batch.partitions[row] ?? 0, stream + 1) === stream);
  const rows = Array.from(batch.flags.keys());
  const others = rows.filter((row) => !isOwn(row)).length;
  if (others === 0) return { records: batch, others };
  const flags = batch.flags.map((set, row) => (isOwn(row) ? set : set | MARK));
  return { records: selectRows({ ...batch, flags }, Int32Array.from(rows.filter(isKept))), others };
}

/** The records with what was looked up for them, and nothing of the tables' own. */
function withoutTables(batch: RecordBatch, { columns, outputSchema }: EnrichPlan): RecordBatch {
  return { ...batch, schema: outputSchema, columns: columns.map((name): Column => columnOf(batch, name)) };
}
