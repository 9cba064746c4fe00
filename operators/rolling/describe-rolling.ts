import type { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import type { KeptRow, KeptValue, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { RollingDefinition } from './rolling-definition.ts';
import { describePanes } from './describe-panes.ts';
import { layOut, type StoredColumn } from './rolling-layout.ts';
import { decodeRows } from './row-format.ts';
import { RowStore } from './row-store.ts';

/** Texts of the entries read so far are forgotten beyond this many. */
const mostTexts = 65_536;
const decoder = new TextDecoder();

/**
 * How a rolling operator's rows read: one for each record, with its event time and the columns that the aggregates take in; or one for each pane.
 *
 * @param schema the operator's input.
 * @param meaning of the columns that are computed before the operator: rows under the same column names hold other values once it changes.
 */
export function describeRolling(definition: RollingDefinition, schema: Schema, meaning = ''): StateDescriber {
  const { panes } = definition;
  if (panes !== undefined) return describePanes(definition, panes, schema, meaning);
  const { columns, retentionMs } = layOut(definition, schema);
  let texts = new KeyIndex();
  const store = new RowStore(columns.length);
  const rowsOf = ({ key, value }: StateEntry): readonly KeptRow[] => {
    if (texts.size > mostTexts) texts = new KeyIndex();
    decodeRows(value, store, 0, columns, texts);
    const count = store.count(0);
    const chunk = store.chunk(0);
    const start = store.start(0);
    const valueOf = ({ form }: StoredColumn, column: number, row: number): KeptValue => {
      const number = chunk[start + (1 + column) * store.stride(0) + row] ?? NaN;
      if (number !== number) return null;
      return form === 'code' ? decoder.decode(texts.keyOf(number)) : number;
    };
    const rows = Array.from({ length: count }, (_, row) => ({
      key,
      eventTimeMs: chunk[start + row] ?? 0,
      values: Object.fromEntries(columns.map((column, index) => [nameOf(column), valueOf(column, index, row)])),
    }));
    store.clear(0);
    return rows;
  };
  return {
    operatorId: definition.operatorId,
    kind: 'rolling',
    keyFields: definition.key,
    filedBy: 'key',
    keepsMs: retentionMs,
    identity: '',
    layout: JSON.stringify([columns.map(({ input, where, form }) => [input, where, form]), meaning]),
    rowsOf,
  };
}

/** A stored column as people know it: the values of the input where the condition holds. */
function nameOf({ input, where }: StoredColumn): string {
  const name = input ?? 'records';
  return where === null ? name : `${name} where ${where}`;
}
