import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { concatRecords } from '../../engine/source/merged/concat-records.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import { liftRecords, type Lift } from '../../engine/source/merged/lift.ts';
import type { StatefulLogic } from '../../engine/state/stateful-logic.ts';
import { isMark, type CountedFlow, type Flow, type FlowNode } from './flow.ts';
import { insertMarks, type InsertedMark, type MarkRule } from './marks.ts';
import { countsOf } from './several-flow.ts';

/** One of the flows of a union. */
export interface UnionInput {
  readonly node: FlowNode;
  /** How its rows become those of the union. */
  readonly lift: Lift;
  /** The number that a partition of the batches that are read has among those of this flow. */
  readonly partitionOf: (partition: number) => number;
}

/** What a union is made of. */
export interface UnionFlowOptions {
  readonly inputs: readonly UnionInput[];
  readonly schema: Schema;
  /** How the watermark goes on: partition by partition. */
  readonly rule: MarkRule;
}

/** Partitions that no topic has, one for each input: as long as an input was not heard from, its own says that anything may come yet. */
const firstUnheard = 1_000_000_000;

/**
 * The rows of several flows as one. Behind it nothing that waits for the least watermark goes on before every input has been heard from (semantics, "Watermark": any of their records may come yet).
 */
export class UnionFlow implements FlowNode {
  readonly logics: readonly StatefulLogic[];
  readonly #options: UnionFlowOptions;
  readonly #unheard: Set<number>;
  #hasBegun = false;

  constructor(options: UnionFlowOptions) {
    this.#options = options;
    this.#unheard = new Set(options.inputs.keys());
    this.logics = options.inputs.flatMap(({ node }) => node.logics);
  }

  async run(batch: RecordBatch): Promise<CountedFlow> {
    const { inputs, schema, rule } = this.#options;
    const flows: CountedFlow[] = [];
    for (const { node } of inputs) flows.push(await node.run(batch));
    const lifted = flows.map(({ records }, input): RecordBatch => {
      const { lift = [], partitionOf = same } = inputs[input] ?? {};
      const partitions = records.partitions.map((each) => mergedPartition(input, partitionOf(each), inputs.length));
      return { ...liftRecords(records, input, lift, schema), partitions };
    });
    const all = concatRecords(lifted);
    const causes = flows.flatMap((flow) => [...flow.causes]);
    const order = [...causes.keys()].sort((a, b) => (causes[a] ?? 0) - (causes[b] ?? 0) || a - b);
    const records = selectRows(all, Int32Array.from(order));
    const met: Flow = { records, causes: Int32Array.from(order, (at) => causes[at] ?? 0) };
    const rows = Int32Array.from(records.flags.keys()).filter((row) => !isMark(records, row));
    const onward = rule.between(selectRows(records, rows), rows, met);
    return { ...countsOf(flows), ...this.#withUnheard(onward) };
  }

  /** Says at the start which inputs were not heard from, and of each when it is. */
  #withUnheard({ records, causes }: Flow): Flow {
    const marks: InsertedMark[] = [];
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      for (const input of this.#unheard)
        marks.push({ before: 0, partition: firstUnheard + input, watermarkMs: -Infinity });
    }
    for (let row = 0; row < records.rowCount && this.#unheard.size > 0; row++) {
      const input = (records.partitions[row] ?? 0) % this.#options.inputs.length;
      // Behind the row, whose own partition holds from there on what has to be held.
      if (this.#unheard.delete(input))
        marks.push({ before: row + 1, partition: firstUnheard + input, watermarkMs: Infinity });
    }
    return marks.length === 0 ? { records, causes } : insertMarks({ records, causes }, marks);
  }
}

function same(partition: number): number {
  return partition;
}
