import type { Schema } from '../../engine/record/schema.ts';
import type { KeptRow, KeptValue, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import { squareBins, sumBins, sumWidth, valueOfSum } from './binned-sum.ts';
import { decodePanes } from './pane-format.ts';
import { layOutPanes, type PaneLayout, type PanePart } from './pane-layout.ts';
import { PaneStore } from './pane-store.ts';
import { paneEndMs } from './pane-times.ts';
import { addToPane, clearPane } from './pane-update.ts';
import type { PaneRule, RollingDefinition } from './rolling-definition.ts';

/**
 * How the panes of a rolling operator read: one row for each pane that has records, under its end, with what the aggregates need of it. Records that are kept one by one are
 * shown as the pane that they are going to be, since which of them still are depends on when the state was last stored; but for those of a key that is not compacted so far.
 *
 * @param schema the operator's input.
 * @param meaning of the columns that are computed before the operator.
 */
export function describePanes(
  definition: RollingDefinition,
  rule: PaneRule,
  schema: Schema,
  meaning: string,
): StateDescriber {
  const layout = layOutPanes(definition, rule, schema);
  const { columns, retentionMs } = layout.rolling;
  const store = new PaneStore(layout);
  const rowsOf = ({ key, value }: StateEntry): readonly KeptRow[] => {
    decodePanes(value, store, 0, layout);
    // Up to where a key is compacted is told by its records alone, so what is later can be shown one by one.
    const panesToMs = rule.aboveRecords === undefined ? Infinity : store.sealedToMs(0);
    const panes = [...panesOf(store, layout, panesToMs)]
      .toSorted(([a], [b]) => a - b)
      .map(([eventTimeMs, pane]): KeptRow => ({ key, eventTimeMs, values: valuesOf(pane, layout) }));
    const rows = rowsAfter(store, layout, panesToMs).map(([eventTimeMs, values]): KeptRow => ({
      key,
      eventTimeMs,
      values,
    }));
    store.clear(0);
    return [...panes, ...rows];
  };
  return {
    operatorId: definition.operatorId,
    kind: 'rolling',
    keyFields: definition.key,
    filedBy: 'key',
    // A pane is seen until the watermark has passed its end by this much.
    keepsMs: retentionMs,
    identity: '',
    layout: JSON.stringify([
      columns.map(({ input, where, form }) => [input, where, form]),
      meaning,
      rule,
      layout.parts,
    ]),
    rowsOf,
  };
}

/** All panes of the key at slot 0 that end by `toMs`, by their ends, each as its end and its columns. */
function panesOf(
  store: PaneStore,
  { rule, parts, paneColumns }: PaneLayout,
  toMs: number,
): ReadonlyMap<number, Float64Array> {
  const panes = new Map<number, Float64Array>();
  if (store.panes.count(0) > 0) {
    const chunk = store.panes.chunk(0);
    const [start, stride] = [store.panes.start(0), store.panes.stride(0)];
    for (let at = start; at < start + store.panes.count(0); at++) {
      const pane = Float64Array.from({ length: 1 + paneColumns }, (_, column) => chunk[at + column * stride] ?? NaN);
      if ((pane[0] ?? 0) <= toMs) panes.set(pane[0] ?? 0, pane);
    }
  }
  const made = new Set(panes.keys());
  if (store.rows.count(0) === 0) return panes;
  const chunk = store.rows.chunk(0);
  const [start, stride] = [store.rows.start(0), store.rows.stride(0)];
  const values = new Float64Array(store.rows.columnCount);
  for (let at = start; at < start + store.rows.count(0); at++) {
    const eventTimeMs = chunk[at] ?? 0;
    const endMs = paneEndMs(eventTimeMs, rule.sizeMs);
    // A pane that was made has its rows already.
    if (made.has(endMs) || endMs > toMs) continue;
    let pane = panes.get(endMs);
    if (pane === undefined) {
      pane = new Float64Array(1 + paneColumns);
      clearPane(pane, 0, 1, parts);
      panes.set(endMs, pane);
    }
    for (let column = 0; column < values.length; column++) values[column] = chunk[at + (1 + column) * stride] ?? NaN;
    addToPane(pane, 0, 1, parts, eventTimeMs, values);
  }
  return panes;
}

/** The records of the key at slot 0 that are later than `fromMs`, with their stored columns. */
function rowsAfter(
  store: PaneStore,
  { rolling }: PaneLayout,
  fromMs: number,
): readonly (readonly [number, Readonly<Record<string, KeptValue>>])[] {
  if (fromMs === Infinity || store.rows.count(0) === 0) return [];
  const chunk = store.rows.chunk(0);
  const [start, stride] = [store.rows.start(0), store.rows.stride(0)];
  const rows = Array.from({ length: store.rows.count(0) }, (_, row) => start + row);
  return rows
    .filter((at) => (chunk[at] ?? 0) > fromMs)
    .map((at) => {
      const values = rolling.columns.map(({ input, where }, column): [string, KeptValue] => {
        const value = chunk[at + (1 + column) * stride] ?? NaN;
        return [`${input ?? 'records'}${where === null ? '' : ` where ${where}`}`, value === value ? value : null];
      });
      return [chunk[at] ?? 0, Object.fromEntries(values)];
    });
}

function valuesOf(pane: Float64Array, { parts, rolling }: PaneLayout): Readonly<Record<string, KeptValue>> {
  const values: Record<string, KeptValue> = {};
  for (const part of parts) {
    const stored = rolling.columns[part.column];
    const name = stored === undefined ? 'records' : (stored.input ?? 'records');
    const condition = stored === undefined || stored.where === null ? '' : ` where ${stored.where}`;
    for (const [what, value] of partValues(pane, part)) values[`${what} of ${name}${condition}`] = value;
  }
  return values;
}

function partValues(pane: Float64Array, part: PanePart): readonly (readonly [string, KeptValue])[] {
  const at = (column: number): KeptValue => {
    const value = pane[1 + column] ?? NaN;
    return Number.isFinite(value) ? value : null;
  };
  const sum = (column: number, bins: number): KeptValue => {
    const value = valueOfSum(pane.subarray(1 + column, 1 + column + sumWidth(bins)), bins);
    return Number.isFinite(value) ? value : null;
  };
  const values: [string, KeptValue][] = [['count', at(part.count)]];
  if (part.sum >= 0) values.push(['sum', sum(part.sum, sumBins)]);
  if (part.squares >= 0) values.push(['sum of squares', sum(part.squares, squareBins)]);
  if (part.minimum >= 0) values.push(['min', at(part.minimum)]);
  if (part.maximum >= 0) values.push(['max', at(part.maximum)]);
  if (part.first >= 0) values.push(['first', at(part.first + 1)], ['time of first', at(part.first)]);
  if (part.last >= 0) values.push(['last', at(part.last + 1)], ['time of last', at(part.last)]);
  return values;
}
