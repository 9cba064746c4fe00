import { PartitionWatermarks, type PartitionWatermark } from '../../engine/time/partition-watermarks.ts';

/**
 * The watermark of several inputs together: the least of theirs, each the least of its partitions that have had a record (Flink's rule). An input that was never heard from
 * holds it back, since any of its records may come yet. It never moves back, though a partition may join with an earlier one.
 *
 * Partitions are numbered in turn: partition `p` is of input `p % inputCount` (`engine/source/merged`).
 */
export class JointWatermark {
  readonly #inputs: readonly PartitionWatermarks[];
  readonly #minimaMs: number[];
  #jointMs = -Infinity;

  constructor(inputCount: number) {
    this.#inputs = Array.from({ length: inputCount }, () => new PartitionWatermarks());
    this.#minimaMs = this.#inputs.map(() => -Infinity);
  }

  /** What every input has passed. */
  get ms(): number {
    return this.#jointMs;
  }

  /** Moves a partition's watermark up. @returns whether the joint one has moved. */
  advance(partition: number, watermarkMs: number): boolean {
    const input = partition % this.#inputs.length;
    const watermarks = this.#inputs[input];
    if (watermarks === undefined) return false;
    const beforeMs = watermarks.of(partition);
    watermarks.advance(partition, watermarkMs);
    // Only the partition that was the last of its input can move the input's.
    if (beforeMs > (this.#minimaMs[input] ?? -Infinity)) return false;
    this.#minimaMs[input] = watermarks.minimumMs();
    const least = Math.min(...this.#minimaMs);
    if (least <= this.#jointMs) return false;
    this.#jointMs = least;
    return true;
  }

  /** All of it, as it is stored: what the partitions have passed. */
  entries(): readonly PartitionWatermark[] {
    return this.#inputs.flatMap((watermarks) => watermarks.entries());
  }

  /** Takes over what was stored. Only all partitions together say where an input stands. */
  restore(jointMs: number, entries: readonly PartitionWatermark[]): void {
    for (const { partition, watermarkMs } of entries) {
      this.#inputs[partition % this.#inputs.length]?.advance(partition, watermarkMs);
    }
    this.#inputs.forEach((watermarks, input) => (this.#minimaMs[input] = watermarks.minimumMs()));
    this.#jointMs = jointMs;
  }
}
