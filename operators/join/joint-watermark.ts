import type { IdlePartition } from '../../engine/record/record-batch.ts';
import {
  inLeavingOrder,
  PartitionWatermarks,
  type HoldRule,
  type PartitionWatermark,
} from '../../engine/time/partition-watermarks.ts';

/**
 * The watermark of several inputs together: the least of theirs, each the least of its partitions that have had a record (Flink's rule). An input that was never heard from
 * holds it back, since any of its records may come yet. Idle partitions count for nothing, nor does an input of which all are; where all inputs are idle, the partition that left last is what counts
 * (ADR 0045). It never moves back, though a partition may join with an earlier one.
 *
 * Partitions are numbered in turn: partition `p` is of input `p % inputCount` (`engine/source/merged`).
 */
export class JointWatermark {
  readonly #inputs: readonly PartitionWatermarks[];
  readonly #minimaMs: number[];
  readonly #hasHolds: boolean;
  /** Idle partitions of all inputs, in the order in which they left. */
  readonly #left = new Set<number>();
  #jointMs = -Infinity;

  /** @param holds of each input, where partitions are the tasks that have written the records; absent where they are read directly. */
  constructor(inputCount: number, holds?: readonly HoldRule[]) {
    this.#hasHolds = holds !== undefined;
    this.#inputs = Array.from({ length: inputCount }, (_, input) => new PartitionWatermarks([], holds?.[input]));
    this.#minimaMs = this.#inputs.map(() => -Infinity);
  }

  /** What every input has passed. */
  get ms(): number {
    return this.#jointMs;
  }

  /** Moves the watermark of a partition up that has brought a record. @returns whether the joint one has moved. */
  advance(partition: number, watermarkMs: number): boolean {
    const input = partition % this.#inputs.length;
    const watermarks = this.#inputs[input];
    if (watermarks === undefined) return false;
    if (this.#left.size > 0 && this.#left.delete(partition)) {
      watermarks.hear(partition);
      this.#minimaMs[input] = watermarks.minimumMs();
    }
    const beforeMs = watermarks.of(partition);
    watermarks.advance(partition, watermarkMs);
    // Only the partition that was the last of its input can move the input's, or, where some were not heard from yet, the first.
    if (!this.#hasHolds && beforeMs > (this.#minimaMs[input] ?? -Infinity)) return false;
    this.#minimaMs[input] = watermarks.minimumMs();
    return this.#moveUp();
  }

  /** Takes an idle partition out, and moves its own watermark as far as the clock has. @returns whether the joint one has moved. */
  leave({ partition, watermarkMs }: IdlePartition): boolean {
    const input = partition % this.#inputs.length;
    const watermarks = this.#inputs[input];
    if (watermarks === undefined) return false;
    watermarks.leave(partition, watermarkMs);
    this.#left.add(partition);
    this.#minimaMs[input] = watermarks.minimumMs();
    return this.#moveUp();
  }

  /** All of it, as it is stored: what the partitions have passed, and which have left. */
  entries(): readonly PartitionWatermark[] {
    const left = [...this.#left];
    return this.#inputs.flatMap((watermarks) =>
      watermarks.entries().map(({ partition, watermarkMs }) => {
        const leftAs = left.indexOf(partition);
        return leftAs < 0 ? { partition, watermarkMs } : { partition, watermarkMs, leftAs };
      }),
    );
  }

  /** Takes over what was stored. Only all partitions together say where an input stands. */
  restore(jointMs: number, entries: readonly PartitionWatermark[]): void {
    this.#inputs.forEach((watermarks, input) => {
      watermarks.restore(entries.filter(({ partition }) => partition % this.#inputs.length === input));
      this.#minimaMs[input] = watermarks.minimumMs();
    });
    for (const { partition } of inLeavingOrder(entries)) this.#left.add(partition);
    this.#jointMs = jointMs;
  }

  #moveUp(): boolean {
    let leastMs = Infinity;
    for (const [input, watermarks] of this.#inputs.entries()) {
      if (!watermarks.isIdle) leastMs = Math.min(leastMs, this.#minimaMs[input] ?? -Infinity);
    }
    if (leastMs === Infinity) leastMs = this.#lastToLeaveMs();
    if (leastMs <= this.#jointMs) return false;
    this.#jointMs = leastMs;
    return true;
  }

  /** The watermark of the partition that left last, of those that have had a record. */
  #lastToLeaveMs(): number {
    let lastMs = -Infinity;
    for (const partition of this.#left) {
      const watermarkMs = this.#inputs[partition % this.#inputs.length]?.of(partition) ?? -Infinity;
      if (watermarkMs > -Infinity) lastMs = watermarkMs;
    }
    return lastMs;
  }
}
