import { lastValueFrom, of, type OperatorFunction } from 'rxjs';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { runSection, type Emitted, type SectionStep } from '../../engine/execution/section.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { numbered, type ArrivalNumbers } from './arrival-numbers.ts';
import type { FlowRows } from './emit-flow.ts';
import { causesWithin, isMark, lateResult, spoiledBy, type CountedFlow, type FlowNode } from './flow.ts';
import { betweenMarks, type MarkRule } from './marks.ts';

/** A flow's node with an operator behind it that gives a row for each, or none. */
export interface StepFlowOptions {
  readonly node: FlowNode;
  readonly gives: FlowRows;
  readonly step: SectionStep;
  readonly logics: readonly StatefulLogic[];
  /** Where the operator puts rows that a person's function throws on: the query's own for records, one of the operator's own for results. */
  readonly rejected: RejectedRecords;
}

/** An operator over a flow's rows; marks go by it. */
export class StepFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #options: StepFlowOptions;

  constructor(options: StepFlowOptions) {
    this.#options = options;
    this.logics = [...options.node.logics, ...options.logics];
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const { node, gives, step, rejected } = this.#options;
    const flow = await node.run(batch);
    const { records } = flow;
    const rows = rowsOf(records);
    const given = rows.length === records.rowCount ? records : selectRows(records, rows);
    const before = rejected.count;
    const result = await lastValueFrom(of(given).pipe(runSection({ steps: [step], logics: [] })));
    const kept = causesWithin(result.records, given).map((row) => rows[row] ?? 0);
    const behind = betweenMarks(result.records, kept, flow);
    if (gives === 'results') {
      return { ...flow, ...behind, spoiled: [...flow.spoiled, ...spoiledBy(rejected.take(), flow, batch)] };
    }
    // What was rejected is in no count.
    const { filtered, duplicate } = result;
    const thrown = rejected.count - before;
    const isCounted = step.fate === 'filtered';
    return {
      ...flow,
      ...behind,
      filtered: flow.filtered + filtered - (isCounted ? thrown : 0),
      duplicate: flow.duplicate + duplicate,
    };
  }
}

/** A flow's node with an operator behind it whose results are records of their own. */
export interface StageFlowOptions {
  readonly node: FlowNode;
  readonly gives: FlowRows;
  readonly operatorId: string;
  readonly operator: OperatorFunction<RecordBatch, Emitted>;
  readonly logics: readonly StatefulLogic[];
  readonly rejected: RejectedRecords;
  /** Whether the operator takes marks in, as those with a watermark of their own do; a function must not be shown them. */
  readonly marks: 'taken in' | 'kept from it';
  /** How the watermark goes on behind it. */
  readonly rule: MarkRule;
  /** Numbers its rows, for what is behind. */
  readonly numbers: ArrivalNumbers;
  readonly state: StateReader;
}

/**
 * An operator that makes results of a flow's rows, which are a stream as any other: they come at their own event time, in the order in which they come out, numbered, and between them stands how far the
 * watermark is, so that whatever waits for it may stand behind. What comes too late there is a dead letter of the record that brought it out.
 */
export class StageFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #options: StageFlowOptions;

  constructor(options: StageFlowOptions) {
    this.#options = options;
    const { node, logics, numbers } = options;
    this.logics = [...node.logics, ...logics, numbers];
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const { node, gives, operatorId, operator, rejected, marks, rule, numbers, state } = this.#options;
    const flow = await node.run(batch);
    const rows = rowsOf(flow.records);
    const isWhole = marks === 'taken in' || rows.length === flow.records.rowCount;
    const given = isWhole ? flow.records : selectRows(flow.records, rows);
    const before = rejected.count;
    const emitted = await lastValueFrom(of(given).pipe(operator));
    const rejectedCount = rejected.count - before;
    const rowIn = (row: number): number => (isWhole || row < 0 ? row : (rows[row] ?? 0));
    const within = causesWithin(emitted.records, given).map(rowIn);
    const late = Array.from(causesWithin(emitted.late, { ...given, idle: [] }), rowIn);
    const behind = rule.between(emitted.records, within, flow);
    await numbers.prefetch(batch, state);
    const onward = { ...behind, records: numbered(behind.records, numbers) };
    const causeOf = (row: number): number => flow.causes[row] ?? 0;
    if (gives === 'results') {
      const spoiled = [
        ...spoiledBy(rejected.take(), flow, batch),
        ...late.map((row) => lateResult(batch, causeOf(row), operatorId)),
      ];
      return { ...flow, ...onward, spoiled: [...flow.spoiled, ...spoiled] };
    }
    return {
      ...onward,
      taken: flow.taken + emitted.taken,
      filtered: flow.filtered + rows.length - emitted.taken - late.length - rejectedCount,
      duplicate: flow.duplicate,
      late: [...flow.late, ...late.map(causeOf)].sort((a, b) => a - b),
      spoiled: flow.spoiled,
    };
  }
}

/** The rows that are no marks. */
function rowsOf(records: RecordBatch): Int32Array {
  const rows: number[] = [];
  for (let row = 0; row < records.rowCount; row++) if (!isMark(records, row)) rows.push(row);
  return Int32Array.from(rows);
}
