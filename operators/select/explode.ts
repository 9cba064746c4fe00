import type { Emitted } from '../../engine/execution/section.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { isValid, utf8ColumnOf, valueAt } from '../../engine/record/column.ts';
import { columnOf, selectRows, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../engine/record/schema.ts';

/** A text field that holds a list, and the field that each of its items goes to. Frozen plain data. */
export interface ExplodeDefinition {
  /** The column that holds the list. */
  readonly from: string;
  /** `json`: a list as JSON; otherwise texts between separators. */
  readonly form: 'json' | { readonly separator: string };
  /** The field of an item, behind the record's own. */
  readonly as: string;
}

/** The field that is added. */
export function explodedField({ as }: Pick<ExplodeDefinition, 'as'>): Field {
  return { name: as, type: 'string', presence: 'required' };
}

/**
 * The function that makes a record of each item of a list: the record's fields, and the item as a text. An item of a JSON list that is no text is given as JSON; between separators, spaces
 * around an item are not part of it, and empty items are none. A record whose list is null or empty gives none. One whose list is not one is rejected.
 */
export function explodeRows(
  definition: ExplodeDefinition,
  input: Schema,
  rejected: RejectedRecords,
): (batch: RecordBatch) => Emitted {
  const { from, form, as } = definition;
  const schema = input.with(explodedField(definition));
  return (batch) => {
    const column = columnOf(batch, from);
    const rows: number[] = [];
    const items: string[] = [];
    let taken = 0;
    for (let row = 0; row < batch.rowCount; row++) {
      const found = isValid(column, row) ? itemsOf(String(valueAt(column, row)), form) : [];
      if (found === null) {
        const message = `field "${from}" must hold a list as JSON, which "${as}" is to be the items of`;
        rejected.add(batch, row, { code: 'LIST_MALFORMED', message });
        continue;
      }
      taken++;
      for (const item of found) {
        rows.push(row);
        items.push(item);
      }
    }
    const repeated = selectRows(batch, Int32Array.from(rows));
    const records = withColumns(repeated, schema, [utf8ColumnOf(items)]);
    return { records, taken, filtered: 0, late: selectRows(batch, new Int32Array(0)) };
  };
}

/** `null` where the text is no list. */
function itemsOf(text: string, form: ExplodeDefinition['form']): readonly string[] | null {
  if (form !== 'json') {
    return text
      .split(form.separator)
      .map((item) => item.trim())
      .filter((item) => item !== '');
  }
  try {
    const list: unknown = JSON.parse(text);
    if (!Array.isArray(list)) return null;
    return list.map((item: unknown) => (typeof item === 'string' ? item : JSON.stringify(item)));
  } catch {
    return null;
  }
}
