import type { KeptRow, KeptValue, KeyPlace, StateDescriber } from '../../engine/state/state-describer.ts';
import type { StateEntry } from '../../engine/state/state-store.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { StateWriter } from '../aggregate/state-bytes.ts';
import { readScopedWatermarks, ScopedWatermarks } from '../keyed/scoped-watermarks.ts';
import { keptWatermarks } from '../stateful/kept-watermarks.ts';
import type { AmendDefinition } from './amend-definition.ts';
import { layOutAmend, type KeptColumn } from './amend-layout.ts';
import { readMarks, watermarksName } from './kept-records.ts';
import { decodeRecord, type Values } from './kept-record.ts';

/** Between the parts of a key's bytes, as `encodeKeys` joins them. */
const separator = Uint8Array.of(0xff);

/**
 * How the state of an amending operator reads: one row for each record that is kept, with its columns as they are now, and one for the watermarks that it has seen. What was told of a
 * record is not among them: it says which amendments went out, which a tolerance that was changed since leaves as it is.
 *
 * @param input as {@link layOutAmend} has it.
 * @param meaning of the columns that the steps make.
 */
export function describeAmend(definition: AmendDefinition, input: Schema, meaning = ''): StateDescriber {
  const { operatorId, key, closedBy, withinMs, maxRecordsPerKey } = definition;
  const layout = layOutAmend(definition, input);
  const keyColumns = key.flatMap((name) => layout.columns.find(({ field }) => field.name === name) ?? []);
  const rowsOf = ({ key: name, value }: StateEntry): readonly KeptRow[] => {
    if (name.length === watermarksName.length)
      return [keptWatermarks(readScopedWatermarks(readMarks(value).watermarks))];
    const record = decodeRecord(new Uint8Array(name), new Uint8Array(value), layout);
    const { partition, offset, eventTimeMs, values } = record;
    const named = layout.columns.map((column) => [column.field.name, valueOf(column, values)] as const);
    return [
      {
        key: keyOf(keyColumns, values),
        eventTimeMs,
        values: { partition, offset, ...Object.fromEntries(named) },
      },
    ];
  };
  return {
    operatorId,
    kind: 'amendments',
    keyFields: key,
    filedBy: 'inside',
    keepsMs: layout.keepsMs,
    identity: '',
    layout: JSON.stringify([
      layout.columns.map(({ field: { name, type } }) => [name, type]),
      layout.keepsMs - withinMs,
      closedBy,
      meaning,
      ...(maxRecordsPerKey === undefined ? [] : [maxRecordsPerKey]),
    ]),
    rowsOf,
    redistribute: (stores, count, place) => {
      const placed = Array.from({ length: count }, (): StateEntry[] => []);
      for (const entry of stores.flat()) {
        if (entry.key.length === watermarksName.length) continue;
        const [row] = rowsOf(entry);
        placed[placeOf(row?.key ?? null, place)]?.push(entry);
      }
      const marks = stores.flatMap((entries) => entries.filter((entry) => entry.key.length === watermarksName.length));
      return placed.map((entries) => (marks.length === 0 ? entries : [...entries, mergedMarks(marks)]));
    },
  };
}

function placeOf(key: Uint8Array | null, place: KeyPlace): number {
  return key === null ? 0 : place(key);
}

/** The watermarks of several stores as those of one; each store of several is given all, and knows its own partition by them. */
function mergedMarks(marks: readonly StateEntry[]): StateEntry {
  const merged = new ScopedWatermarks('partition', 0);
  let nextOrder = 0;
  for (const { value } of marks) {
    const read = readMarks(value);
    nextOrder = Math.max(nextOrder, read.nextOrder);
    merged.restore(read.watermarks);
  }
  const to = new StateWriter();
  to.f64(nextOrder);
  to.raw(merged.encode());
  return { key: watermarksName, value: to.take() };
}

function keyOf(columns: readonly KeptColumn[], values: Values): Uint8Array | null {
  const parts: Uint8Array[] = [];
  for (const column of columns) {
    const value = valueOf(column, values);
    if (value === null) return null;
    if (parts.length > 0) parts.push(separator);
    parts.push(Buffer.from(String(value)));
  }
  return Uint8Array.from(Buffer.concat(parts));
}

function valueOf({ field, form, slot }: KeptColumn, { numbers, texts }: Values): KeptValue {
  if (form === 'text') return texts[slot] ?? null;
  const number = numbers[slot] ?? NaN;
  if (Number.isNaN(number)) return null;
  return field.type === 'boolean' ? number === 1 : number;
}
