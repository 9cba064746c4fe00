import { strict as assert } from 'node:assert';
import { groupPaths, type PathGroup } from './field-path.ts';
import type { OutputColumn, OutputConstant } from './output-columns.ts';

/** What of an output object is the same in every record, and where its columns' values go. */
export interface JsonLayout {
  /** The columns, in the order in which they are written. */
  readonly columns: readonly OutputColumn[];
  /**
   * What stands before each column's value (names, braces, constants), and after the last, four bytes a word (little-endian), in
   * `words[starts[i], starts[i + 1])`; `lengths[i]` bytes of it count.
   */
  readonly words: Int32Array;
  readonly starts: Int32Array;
  readonly lengths: Int32Array;
}

/**
 * Lays the fields out as one JSON object, those of an inner object together where its first one stands. Called once, when an encoder is made.
 *
 * @throws {SluiceError} `SCHEMA_FIELD_AMBIGUOUS`.
 */
export function layOutJson(fields: readonly (OutputColumn | OutputConstant)[]): JsonLayout {
  const columns: OutputColumn[] = [];
  const between = [''];
  const append = (text: string): void => {
    between.push(`${between.pop() ?? ''}${text}`);
  };
  const appendObject = (groups: readonly PathGroup[]): void => {
    append('{');
    groups.forEach(({ name, field: index, members }, place) => {
      append(`${place === 0 ? '' : ','}${JSON.stringify(name)}:`);
      if (index < 0) {
        appendObject(members);
        return;
      }
      const field = fields[index];
      assert(field !== undefined);
      if ('constant' in field) {
        append(JSON.stringify(field.constant));
      } else {
        columns.push(field);
        between.push('');
      }
    });
    append('}');
  };
  appendObject(groupPaths(fields.map((field) => field.name)));
  const encoder = new TextEncoder();
  const parts = between.map((text) => encoder.encode(text));
  const starts = new Int32Array(parts.length + 1);
  parts.forEach((part, index) => {
    starts[index + 1] = (starts[index] ?? 0) + Math.ceil(part.length / 4);
  });
  const bytes = new Uint8Array((starts[parts.length] ?? 0) * 4);
  parts.forEach((part, index) => bytes.set(part, (starts[index] ?? 0) * 4));
  const view = new DataView(bytes.buffer);
  const words = Int32Array.from({ length: bytes.length / 4 }, (_, word) => view.getInt32(word * 4, true));
  return { columns, words, starts, lengths: Int32Array.from(parts, (part) => part.length) };
}
