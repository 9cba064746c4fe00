import { Schema } from '../../../engine/record/schema.ts';
import { layOutPanes, type PaneLayout } from '../pane-layout.ts';
import { PaneStore } from '../pane-store.ts';
import type { PaneRule, RollingAggregate, RollingFunction } from '../rolling-definition.ts';
import type { RowStore } from '../row-store.ts';

const schema: Schema = new Schema([
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'fee', type: 'double', presence: 'optional' },
  { name: 'flagged', type: 'boolean', presence: 'optional' },
]);

/** An aggregate over a hundred milliseconds, without the record itself. */
export function paneAggregate(
  fn: RollingFunction,
  input: 'amount' | 'fee' | null,
  more: Partial<RollingAggregate> = {},
): RollingAggregate {
  const usual = { where: null, overMs: 100, delayMs: 0, current: 'exclude', n: null, halfLifeMs: null } as const;
  return { name: `${fn}_${input ?? 'records'}`, function: fn, input, ...usual, ...more };
}

/** How an operator with these aggregates lies; its allowed lateness is 3 ms. */
export function paneLayout(rule: PaneRule, ...aggregates: readonly RollingAggregate[]): PaneLayout {
  return layOutPanes({ operatorId: 'op', key: ['card'], aggregates, allowedLatenessMs: 3 }, rule, schema);
}

/** Of amounts, each pane with the columns: how many records, how many amounts, the largest. A pane is made of three records. */
export function maximumLayout(rule: PaneRule): PaneLayout {
  return paneLayout(rule, paneAggregate('max', 'amount'));
}

/** A store of {@link maximumLayout} whose slot `slot` has these records, each an event time and an amount. */
export function storeOf(
  rule: PaneRule,
  slot: number,
  records: readonly (readonly [timeMs: number, amount: number])[],
): PaneStore {
  const store = new PaneStore(maximumLayout(rule));
  for (const [timeMs, amount] of records) store.insert(slot, timeMs, Float64Array.of(amount));
  return store;
}

/** A slot's rows, or panes, each its time and its columns. */
export function linesOf(part: RowStore, slot: number): number[][] {
  if (part.count(slot) === 0) return [];
  const [chunk, start, stride] = [part.chunk(slot), part.start(slot), part.stride(slot)];
  return Array.from({ length: part.count(slot) }, (_, line) =>
    Array.from({ length: 1 + part.columnCount }, (_unused, column) => chunk[start + line + column * stride] ?? NaN),
  );
}
