import { strict as assert } from 'node:assert';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import type { CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { isValid, numberColumn, type Column } from '../../engine/record/column.ts';
import { columnOf, type IdlePartition, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import type { JoinDefinition } from '../join/join-definition.ts';
import { JoinLogic, type JoinOutputs, type JoinStart } from '../join/join-logic.ts';
import { ArrivalNumbers, numbered } from './arrival-numbers.ts';
import type { FlowRows } from './emit-flow.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import { causesWithin, isMark, lateResult, spoiledBy, type CountedFlow, type Flow, type FlowNode } from './flow.ts';
import { countsOf, together } from './several-flow.ts';

/** What one side of a join is: where its rows come from, and how. */
export interface JoinInput {
  readonly node: FlowNode;
  /** Which its rows are; no two of either have one position. */
  readonly gives: FlowRows;
  /** The number that a partition of the batches that are read has among those of this side. */
  readonly partitionOf: (partition: number) => number;
}

/** What a join of two flows is made of. */
export interface JoinFlowOptions {
  /** Its left side is input 0, its right side input 1. A side of results has an infinite delay: its rows' times say nothing of the watermark, which they carry. */
  readonly definition: JoinDefinition;
  readonly condition: CompiledExpression | null;
  /** Of the rows of both sides in one: the input's number, the left columns, the right ones, in the order in which the sides give them. */
  readonly schema: Schema;
  readonly left: JoinInput;
  readonly right: JoinInput;
  readonly outputs: JoinOutputs;
  /** Whether results are for an operator behind that keeps them, or tells them apart: they are then in one partition, under numbers of their own. */
  readonly rows: 'numbered' | 'as they are';
  /** Where pairs are put that a person's condition throws on; absent where there is no such condition. */
  readonly rejected?: RejectedRecords;
}

/** Rows of two flows in the order in which what brought them out was read. */
interface Met {
  readonly records: RecordBatch;
  readonly causes: Int32Array;
  readonly isLeft: Uint8Array;
}

/**
 * A join whose sides may be anything that has an order: inputs, or what came out of other operators, joins among them. A side of results is a stream as any other: its records come at the event time of a
 * result, in the order in which they came out, and its watermark is how far its operator says that results are (docs/joins.md, "More than two").
 */
export class JoinFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #options: JoinFlowOptions;
  readonly #logic: JoinLogic;
  readonly #state: StateReader;
  readonly #numbers: ArrivalNumbers | null;

  constructor(options: JoinFlowOptions, start: JoinStart, state: StateReader) {
    const { definition, condition, schema, left, right, outputs } = options;
    this.#options = options;
    this.#state = state;
    this.#logic = new JoinLogic(definition, schema, condition, start, outputs);
    this.#numbers = options.rows === 'numbered' ? new ArrivalNumbers(definition.operatorId, start) : null;
    const own = this.#numbers === null ? [this.#logic] : [this.#logic, this.#numbers];
    this.logics = [...left.node.logics, ...right.node.logics, ...own];
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const { left, right } = this.#options;
    const leftFlow = await left.node.run(batch);
    const rightFlow = await right.node.run(batch);
    const met = this.#interleave(placedFlow(leftFlow, left, 0), placedFlow(rightFlow, right, 1));
    await this.#logic.prefetch(met.records, this.#state);
    const emitted = this.#logic.emit(met.records);
    const within = causesWithin(emitted.records, met.records);
    const before = countsOf([leftFlow, rightFlow]);
    const late = this.#lateRows(emitted.late, met, batch);
    const { read, made } = this.#rowsOf(met, late.rows);
    const taken = emitted.taken - made;
    await this.#numbers?.prefetch(batch, this.#state);
    return {
      records: this.#numbers === null ? emitted.records : inOnePartition(emitted.records, this.#numbers),
      causes: within.map((row) => (row < 0 ? row : (met.causes[row] ?? 0))),
      taken: before.taken + taken,
      filtered: before.filtered + read - late.read.length - taken,
      duplicate: before.duplicate,
      late: [...before.late, ...late.read].sort((a, b) => a - b),
      spoiled: [...before.spoiled, ...late.spoiled, ...this.#spoiledPairs(met, batch)],
    };
  }

  /** What came too late: rows that were read, by their numbers, and results, each of which spoils the row that brought it out. */
  #lateRows(
    late: RecordBatch,
    { records, causes, isLeft }: Met,
    batch: RecordBatch,
  ): { readonly rows: ReadonlySet<number>; readonly read: readonly number[]; readonly spoiled: readonly DeadLetter[] } {
    const { left, right, definition } = this.#options;
    const rows = [...causesWithin(late, { ...records, idle: [] })];
    const isRead = (row: number): boolean => (isLeft[row] === 1 ? left : right).gives === 'records';
    return {
      rows: new Set(rows),
      read: rows.filter(isRead).map((row) => causes[row] ?? 0),
      spoiled: rows
        .filter((row) => !isRead(row))
        .map((row) => lateResult(batch, causes[row] ?? 0, definition.operatorId)),
    };
  }

  /** Dead letters of pairs, under the positions of the records that would have brought them out. */
  #spoiledPairs({ records, causes }: Met, batch: RecordBatch): readonly DeadLetter[] {
    return spoiledBy(this.#options.rejected?.take() ?? [], { records, causes }, batch);
  }

  #interleave(left: Flow, right: Flow): Met {
    const { schema } = this.#options;
    const { flow, of } = together([left, right], schema);
    const { records, causes } = flow;
    const inputs = Float64Array.from(of);
    const present = Uint8Array.from(of, (_, row) => (isMark(records, row) ? 0 : 1));
    const columns = [numberColumn(inputs, present), ...records.columns];
    assert(columns.length === schema.fields.length, 'the schema has the columns of both sides');
    return { records: { ...records, columns }, causes, isLeft: Uint8Array.from(of, (input) => 1 - input) };
  }

  /** How many rows were read, and how many results the logic has taken in: what the counts of the logic, which knows no difference, are told apart by. Marks are neither. */
  #rowsOf({ records, isLeft }: Met, late: ReadonlySet<number>): { readonly read: number; readonly made: number } {
    const { definition, left, right } = this.#options;
    const columnsOf = (names: readonly string[]): readonly Column[] => names.map((name) => columnOf(records, name));
    const sides = [
      { key: columnsOf(definition.right.key), gives: right.gives, side: 'right' },
      { key: columnsOf(definition.left.key), gives: left.gives, side: 'left' },
    ] as const;
    const counts = { read: 0, made: 0 };
    for (let row = 0; row < records.rowCount; row++) {
      if (isMark(records, row)) continue;
      const { key, gives, side } = sides[isLeft[row] === 1 ? 1 : 0];
      if (gives === 'records') {
        counts.read++;
        continue;
      }
      const hasKey = key.every((column) => isValid(column, row));
      const isKept = definition.kind === 'full' || definition.kind === side;
      if ((hasKey || isKept) && !late.has(row)) counts.made++;
    }
    return counts;
  }
}

/** A side's rows in partitions that tell the sides apart. */
function placedFlow({ records, causes }: Flow, side: JoinInput, number: 0 | 1): Flow {
  const place = (partition: number): number => mergedPartition(number, side.partitionOf(partition), 2);
  const idle = (records.idle ?? []).map((each): IdlePartition => ({ ...each, partition: place(each.partition) }));
  return { records: { ...records, partitions: records.partitions.map(place), idle }, causes };
}

function inOnePartition(records: RecordBatch, numbers: ArrivalNumbers): RecordBatch {
  return { ...numbered(records, numbers), partitions: new Int32Array(records.rowCount) };
}
