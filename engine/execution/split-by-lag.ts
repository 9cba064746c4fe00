/** How many records a partition has. */
interface PartitionRecords {
  readonly partition: number;
  readonly records: number;
}

/**
 * Splits a limit among partitions in proportion to what each has left to read (as Spark's `maxOffsetsPerTrigger`), so that one that is far behind catches up with the
 * others. Every partition that has records gets one at least, so that none waits for ever.
 *
 * @returns the shares, of the furthest behind first, without empty ones; together no more than the limit, unless there are more partitions than that.
 */
export function splitByLag(lags: readonly PartitionRecords[], limit: number): readonly PartitionRecords[] {
  const total = lags.reduce((sum, { records }) => sum + records, 0);
  const behind = lags.filter(({ records }) => records > 0);
  const shares = behind.map(({ partition, records }) => {
    const share = total <= limit ? records : Math.floor((limit * records) / total);
    return { partition, records: Math.max(1, share) };
  });
  const given = shares.reduce((sum, { records }) => sum + records, 0);
  const lagOf = new Map(behind.map(({ partition, records }) => [partition, records]));
  const furthestFirst = shares.toSorted(
    (a, b) => (lagOf.get(b.partition) ?? 0) - (lagOf.get(a.partition) ?? 0) || a.partition - b.partition,
  );
  // What rounding has left goes to the partitions that are furthest behind, and what the least ones got too much comes from them.
  let left = Math.min(limit, total) - given;
  return furthestFirst.map(({ partition, records }) => {
    const change = left > 0 ? Math.min(left, (lagOf.get(partition) ?? 0) - records, 1) : Math.max(left, 1 - records);
    left -= change;
    return { partition, records: records + change };
  });
}
