import type { RecordEnd } from './record-cursor.ts';

const [quote, lineFeed] = [0x22, 0x0a];

/**
 * {@link RecordEnd} of CSV as RFC 4180 has it: a line feed within quotes belongs to its field. A quote opens only at the start of a field; elsewhere it is
 * a character like any other, so that `5" pipe` does not swallow the rest of the file.
 */
export function csvRecordEnd(delimiter: number): RecordEnd {
  return (data, start, end) => {
    let at = start;
    for (;;) {
      if (at < end && data[at] === quote) {
        at = closingQuote(data, at + 1, end) + 1;
        if (at === 0) return -1;
      }
      let byte = 0;
      while (at < end && (byte = data[at] ?? 0) !== delimiter && byte !== lineFeed) at++;
      if (at >= end) return -1;
      if (byte === lineFeed) return at;
      at++;
    }
  };
}

/** The index of the quote that closes the field whose text starts at `at`, or -1 when there is none before `end`. A doubled quote stands for one. */
export function closingQuote(data: Uint8Array, at: number, end: number): number {
  let from = at;
  for (;;) {
    const found = data.indexOf(quote, from);
    if (found < 0 || found >= end) return -1;
    if (data[found + 1] !== quote || found + 1 >= end) return found;
    from = found + 2;
  }
}

/** A row's fields as strings. For the header; rows are decoded straight into columns. A quote that is not closed counts as a character. */
export function splitRow(row: Uint8Array, delimiter: number): readonly string[] {
  const decoder = new TextDecoder();
  const fields: string[] = [];
  for (let at = 0; at <= row.length; at++) {
    const close = row[at] === quote ? closingQuote(row, at + 1, row.length) : -1;
    const found = row.indexOf(delimiter, close < 0 ? at : close);
    const end = found < 0 ? row.length : found;
    if (close < 0) fields.push(decoder.decode(row.subarray(at, end)));
    else fields.push(decoder.decode(row.subarray(at + 1, close)).replaceAll('""', '"'));
    at = end;
  }
  return fields;
}
