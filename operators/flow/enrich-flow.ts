import { numberColumn, type Column } from '../../engine/record/column.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import type { EnrichDefinition } from '../enrich/enrich-definition.ts';
import { EnrichLogic, type EnrichStart } from '../enrich/enrich-logic.ts';
import type { FlowRows } from './emit-flow.ts';
import { causesWithin, isMark, type CountedFlow, type FlowNode } from './flow.ts';
import { countsOf, together, withoutMarks } from './several-flow.ts';

/** What the look-up of one flow's rows in another is made of. */
export interface EnrichFlowOptions {
  /** The table is input 0, the stream is input 1. */
  readonly definition: EnrichDefinition;
  /** Of the rows of both in one: the table's columns, the stream's, the input's number. */
  readonly schema: Schema;
  /** Of what comes out: the stream's columns, then the table's that were looked up. */
  readonly outputSchema: Schema;
  readonly table: FlowNode;
  readonly stream: FlowNode;
  readonly gives: FlowRows;
}

/** Looks the rows of a flow up in a table whose versions come in another: those that were read before them. A table holds no watermark back. */
export class EnrichFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #options: EnrichFlowOptions;
  readonly #logic: EnrichLogic;
  readonly #state: StateReader;

  constructor(options: EnrichFlowOptions, start: EnrichStart, state: StateReader) {
    this.#options = options;
    this.#state = state;
    this.#logic = new EnrichLogic(options.definition, options.schema, start);
    this.logics = [...options.table.logics, ...options.stream.logics, this.#logic];
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const { table, stream, schema, outputSchema, gives } = this.#options;
    const versions = withoutMarks(await table.run(batch));
    const rows = await stream.run(batch);
    const { flow, of } = together([versions, rows], schema);
    const { records, causes } = flow;
    const present = Uint8Array.from(of, (_, row) => (isMark(records, row) ? 0 : 1));
    const given: RecordBatch = {
      ...records,
      columns: [...records.columns, numberColumn(Float64Array.from(of), present)],
      partitions: records.partitions.map((partition, row) => mergedPartition(of[row] ?? 0, partition, 2)),
      idle: [],
    };
    await this.#logic.prefetch(given, this.#state);
    const { records: found, absorbed, dropped } = this.#logic.enrich(given);
    const within = causesWithin(found, given);
    const own = this.#columnsOf(found);
    const idle = rows.records.idle === undefined ? {} : { idle: rows.records.idle };
    const out: RecordBatch = {
      ...selectRows({ ...found, columns: own }, Int32Array.from(found.flags.keys())),
      schema: outputSchema,
      partitions: Int32Array.from(within, (row) => records.partitions[row] ?? 0),
      ...idle,
    };
    const before = countsOf([versions, rows]);
    return {
      records: out,
      causes: Int32Array.from(within, (row) => causes[row] ?? 0),
      ...before,
      taken: before.taken + absorbed,
      filtered: before.filtered + (gives === 'records' ? dropped : 0),
    };
  }

  /** The stream's own columns and what was looked up for them. */
  #columnsOf({ columns }: RecordBatch): readonly Column[] {
    const { outputSchema, definition } = this.#options;
    const found = columns.slice(columns.length - definition.columns.length);
    const own = outputSchema.fields.length - found.length;
    const end = columns.length - found.length - 1;
    return [...columns.slice(end - own, end), ...found];
  }
}
