/** How much one partition has to give. */
export interface Available {
  readonly partition: number;
  readonly records: number;
}

/**
 * Splits `maxRecords` among partitions so that none gets less than another while it has more to give (max-min fairness): what a quiet partition
 * leaves over goes to the busy ones, and a busy one cannot starve the rest.
 *
 * @param available in the order of preference for what cannot be split evenly; the result keeps that order, without empty shares.
 */
export function fairShares(available: readonly Available[], maxRecords: number): readonly Available[] {
  const shares = new Map<number, number>();
  const smallestFirst = available.filter(({ records }) => records > 0).toSorted((a, b) => a.records - b.records);
  let left = maxRecords;
  smallestFirst.forEach(({ partition, records }, index) => {
    const share = Math.min(records, Math.ceil(left / (smallestFirst.length - index)));
    shares.set(partition, share);
    left -= share;
  });
  return available
    .map(({ partition }) => ({ partition, records: shares.get(partition) ?? 0 }))
    .filter(({ records }) => records > 0);
}
