import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { isMark, type CountedFlow, type FlowNode } from './flow.ts';

/**
 * Results that another task has handed on, as a flow: for what is behind they are results, each of which may come of several records; in the counts of the task that reads them they are records that it
 * has taken in.
 */
export class ReadResults implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #node: FlowNode;

  /** @param node gives the rows of a batch that are such results. */
  constructor(node: FlowNode) {
    this.#node = node;
    this.logics = node.logics;
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const flow = await this.#node.run(batch);
    let taken = flow.taken;
    for (let row = 0; row < flow.records.rowCount; row++) if (!isMark(flow.records, row)) taken++;
    return { ...flow, taken };
  }
}
