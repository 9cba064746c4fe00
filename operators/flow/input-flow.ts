import { isValid } from '../../engine/record/column.ts';
import { columnOf, MARK, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { inputOfPartition } from '../../engine/source/merged/input-partition.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { inputColumn } from '../join/join-definition.ts';
import type { CountedFlow, FlowNode } from './flow.ts';

/** Which rows of the batches that are read are an input's, and what of them goes on. */
export interface InputFlowOptions {
  /** The input's number among all that are read; partition `p` is of input `p % inputCount`. */
  readonly input: number;
  readonly inputCount: number;
  /** The columns of the batches that are its own. */
  readonly columns: readonly string[];
  /** What they are called from here on, in their order. */
  readonly schema: Schema;
}

/** The records of one of several inputs, with their own columns alone. Rows that are no record of any input (their number is null) say how far its partitions are. */
export class InputFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[] = [];
  readonly #options: InputFlowOptions;

  constructor(options: InputFlowOptions) {
    this.#options = options;
  }

  run(batch: RecordBatch): Promise<CountedFlow> {
    const { input, inputCount, columns, schema } = this.#options;
    const isOwn = (partition: number): boolean => inputOfPartition(partition, inputCount) === input;
    const rows: number[] = [];
    for (let row = 0; row < batch.rowCount; row++) if (isOwn(batch.partitions[row] ?? 0)) rows.push(row);
    const causes = Int32Array.from(rows);
    const numbers = columnOf(batch, inputColumn);
    const own = selectRows({ ...batch, columns: columns.map((name) => columnOf(batch, name)) }, causes);
    let filtered = 0;
    for (let at = 0; at < causes.length; at++) {
      if (isValid(numbers, causes[at] ?? 0)) continue;
      own.flags[at] = (own.flags[at] ?? 0) | MARK;
      filtered++;
    }
    const idle = (batch.idle ?? []).filter(({ partition }) => isOwn(partition));
    return Promise.resolve({
      records: { ...own, schema, idle },
      causes,
      taken: 0,
      filtered,
      duplicate: 0,
      late: [],
      spoiled: [],
    });
  }
}
