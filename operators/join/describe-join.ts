import type { KeptRow, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { JoinDefinition } from './join-definition.ts';
import { keptWatermarks } from '../stateful/kept-watermarks.ts';
import { furthestOf, redistributeEntries } from '../stateful/redistribute-entries.ts';
import { readRow, readWatermarks, watermarksName, writeWatermarks } from './join-format.ts';
import type { JoinRow } from './join-row.ts';

/** How a join's state reads: one row for each record that may still find partners, and one for the watermarks that it has seen. */
export function describeJoin(definition: JoinDefinition): StateDescriber {
  const { operatorId, kind, left, right, key, beforeMs, afterMs, allowedLatenessMs } = definition;
  const sides = { left, right };
  // Whether a record found partners is kept where it comes out without any.
  const matched = (side: JoinRow['side'], isMatched: boolean): { readonly matched?: boolean } =>
    kind === 'full' || kind === side ? { matched: isMatched } : {};
  const rowOf = (entry: StateEntry): KeptRow => {
    if (entry.key.length === watermarksName.length) {
      const { jointMs, watermarks } = readWatermarks(entry.value);
      return keptWatermarks([{ partition: -1, watermarkMs: jointMs }, ...watermarks]);
    }
    const row = readRow(entry.key, entry.value, (side) => sides[side].columns.length);
    const { side, timeMs, partition, offset, isMatched, values } = row;
    const named = sides[side].columns.map((name, index) => [name, values[index] ?? null] as const);
    return {
      key: row.key,
      eventTimeMs: null,
      values: {
        side,
        event_time: timeMs,
        partition,
        offset,
        ...matched(side, isMatched),
        ...Object.fromEntries(named),
      },
    };
  };
  return {
    operatorId,
    kind: 'join',
    keyFields: key,
    filedBy: 'inside',
    keepsMs: null,
    identity: JSON.stringify([left, right, kind]),
    layout: JSON.stringify([beforeMs, afterMs, allowedLatenessMs]),
    rowsOf: (entry) => [rowOf(entry)],
    redistribute: (stores, count, place) =>
      redistributeEntries(stores, count, place, {
        watermarksName,
        keyOf: (entry) => rowOf(entry).key,
        mergeWatermarks: (values) => {
          const seen = values.map((value) => readWatermarks(value));
          const jointMs = Math.max(...seen.map((each) => each.jointMs));
          return writeWatermarks(jointMs, furthestOf(seen.map(({ watermarks }) => watermarks)));
        },
      }),
  };
}
