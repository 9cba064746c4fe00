import type { Utf8Column } from '../record/column.ts';
import { writeLong } from './avro-binary.ts';

const utf8 = new TextEncoder();
/** `[]`, as one number. */
const emptyList = 0x5b5d;

/**
 * Writes a JSON list of strings (an alert's reasons) as an Avro array from `at` on, in no more bytes than its text has, and a few for the count. Gives the
 * position after it, or -1 for text that is no such list. Most lists are empty, and are told by their two bytes.
 */
export function writeTextList(out: Uint8Array, at: number, { data, offsets }: Utf8Column, row: number): number {
  const start = offsets[row] ?? 0;
  const end = offsets[row + 1] ?? 0;
  let to = at;
  if (end - start === 2 && (((data[start] ?? 0) << 8) | (data[start + 1] ?? 0)) === emptyList) {
    out[to++] = 0;
    return to;
  }
  const items = listOf(data.subarray(start, end));
  if (items === null) return -1;
  if (items.length > 0) to = writeLong(out, to, items.length);
  for (const item of items) {
    const bytes = utf8.encode(item);
    to = writeLong(out, to, bytes.length);
    out.set(bytes, to);
    to += bytes.length;
  }
  out[to++] = 0;
  return to;
}

function listOf(json: Uint8Array): readonly string[] | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(json).toString());
    return Array.isArray(value) && value.every((item) => typeof item === 'string') ? value : null;
  } catch {
    return null;
  }
}
