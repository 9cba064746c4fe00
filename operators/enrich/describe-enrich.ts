import type { StateDescriber } from '../../engine/state/state-describer.ts';
import type { EnrichDefinition } from './enrich-definition.ts';
import { keptWatermarks } from '../stateful/kept-watermarks.ts';
import { furthestOf, redistributeEntries } from '../stateful/redistribute-entries.ts';
import { readVersion, readWatermarks, watermarksName, writeWatermarks } from './table-format.ts';

/** How a table's state reads: one row for each version that is kept, and one for the watermarks of the stream. */
export function describeEnrich({ operatorId, key, columns, asOf }: EnrichDefinition): StateDescriber {
  return {
    operatorId,
    kind: 'enrich',
    keyFields: [key],
    filedBy: 'inside',
    keepsMs: null,
    identity: JSON.stringify([key, asOf]),
    layout: JSON.stringify(columns),
    rowsOf: ({ key: name, value }) => {
      if (name.length === watermarksName.length) return [keptWatermarks(readWatermarks(value))];
      const { key: bytes, version } = readVersion(name, value, columns.length);
      const { timeMs, partition, offset, values } = version;
      const named =
        values === null
          ? [['deleted', true] as const]
          : columns.map((column, index) => [column, values[index] ?? null] as const);
      return [
        {
          key: bytes,
          eventTimeMs: null,
          values: { event_time: timeMs, partition, offset, ...Object.fromEntries(named) },
        },
      ];
    },
    // Any of a table's keys may be looked up in any store.
    redistribute: (stores, count, place) =>
      redistributeEntries(stores, count, place, {
        watermarksName,
        keyOf: 'everywhere',
        mergeWatermarks: (values) => writeWatermarks(furthestOf(values.map((value) => readWatermarks(value)))),
      }),
  };
}
