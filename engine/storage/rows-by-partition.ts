import type { MessageBatch } from '../record/message-batch.ts';

/** The messages of a batch that belong to one partition, in the batch's order. */
export interface PartitionRows {
  readonly partition: number;
  readonly rows: Int32Array;
}

/** Splits a batch by partition, the partitions in ascending order. Cost: three passes over the partitions, none over the messages' bytes. */
export function rowsByPartition(batch: MessageBatch): readonly PartitionRows[] {
  const { partitions, messageCount } = batch;
  const counts = new Map<number, number>();
  for (let i = 0; i < messageCount; i++) {
    const partition = partitions[i] ?? 0;
    counts.set(partition, (counts.get(partition) ?? 0) + 1);
  }
  const groups = [...counts.keys()]
    .toSorted((a, b) => a - b)
    .map((partition) => ({ partition, rows: new Int32Array(counts.get(partition) ?? 0), filled: 0 }));
  const byPartition = new Map(groups.map((group) => [group.partition, group]));
  let group = groups[0];
  for (let i = 0; i < messageCount; i++) {
    const partition = partitions[i] ?? 0;
    if (group?.partition !== partition) group = byPartition.get(partition);
    if (group !== undefined) group.rows[group.filled++] = i;
  }
  return groups;
}
