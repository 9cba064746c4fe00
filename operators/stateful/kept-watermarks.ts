import type { KeptRow } from '../../engine/state/state-describer.ts';
import type { PartitionWatermark } from '../../engine/time/partition-watermarks.ts';

/**
 * How the watermarks that an operator has stored read, for `sluice state`: one row without a key. Called by the describers of operators that keep theirs.
 *
 * @param seen in the order in which they are to stand; partition -1 is all of them, as the query has it.
 */
export function keptWatermarks(seen: readonly PartitionWatermark[]): KeptRow {
  const named = seen.map(({ partition, watermarkMs }) => {
    // JSON has no infinities: a watermark that has seen nothing is null.
    const shown = watermarkMs === -Infinity ? null : watermarkMs;
    return [partition < 0 ? 'query' : `partition ${partition}`, shown] as const;
  });
  return { key: null, eventTimeMs: null, values: Object.fromEntries(named) };
}
