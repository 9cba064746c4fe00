/**
 * One numbering of partitions for all inputs of a query, so that positions, watermarks and replays are kept for several topics as for one: partition `p` of input `i` of `n`
 * is `p × n + i`. A topic that is given more partitions changes no other's numbers; a query with another input is another query.
 */

/** The number of an input's partition among those of all inputs. */
export function mergedPartition(input: number, partition: number, inputCount: number): number {
  return partition * inputCount + input;
}

/** Which input a numbered partition is of. */
export function inputOfPartition(merged: number, inputCount: number): number {
  return merged % inputCount;
}

/** The number that a partition has in its own topic. */
export function partitionInInput(merged: number, inputCount: number): number {
  return Math.floor(merged / inputCount);
}
