import type { KeptRow, KeptValue, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { aggregatorOf } from '../aggregate/aggregate-spec.ts';
import { keptWatermarks } from '../stateful/kept-watermarks.ts';
import type { WindowDefinition } from './window-definition.ts';
import { furthestOf, redistributeEntries } from '../stateful/redistribute-entries.ts';
import { readWatermarks, readWindow, watermarksName, writeWatermarks } from './window-format.ts';

/**
 * How a window operator's state reads: one row for each window that is not over, with its aggregates as they stand, and one for the watermarks that it has seen.
 *
 * @param meaning of the columns that are computed before the operator.
 */
export function describeWindows(definition: WindowDefinition, meaning = ''): StateDescriber {
  const { operatorId, key: keyFields, window, where, aggregates, outputMode, lateness, closedBy } = definition;
  const aggregators = aggregates.map(({ spec }) => aggregatorOf(spec));
  const rowOf = (entry: StateEntry): KeptRow => {
    if (entry.key.length === watermarksName.length) return keptWatermarks(readWatermarks(entry.value));
    const { key, scope, startMs, endMs, records, states, phase } = readWindow(entry.key, entry.value, aggregators);
    const answers = aggregates.map(({ name }, index): readonly [string, KeptValue] => {
      return [name, aggregators[index]?.finish(states[index]) ?? null];
    });
    return {
      key,
      eventTimeMs: null,
      values: {
        window_start: startMs,
        window_end: endMs,
        records,
        partition: scope < 0 ? null : scope,
        phase,
        ...Object.fromEntries(answers),
      },
    };
  };
  return {
    operatorId,
    kind: 'window',
    keyFields,
    filedBy: 'inside',
    keepsMs: null,
    identity: JSON.stringify([window, outputMode, closedBy]),
    layout: JSON.stringify([
      where,
      aggregates.map(({ name, spec, input, where: only, carried = [] }) => [name, spec, input, only, ...carried]),
      lateness,
      meaning,
    ]),
    rowsOf: (entry) => [rowOf(entry)],
    redistribute: (stores, count, place) =>
      redistributeEntries(stores, count, place, {
        watermarksName,
        keyOf: (entry) => rowOf(entry).key,
        mergeWatermarks: (values) => writeWatermarks(furthestOf(values.map((value) => readWatermarks(value)))),
      }),
  };
}
