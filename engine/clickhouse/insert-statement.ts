/** `INSERT INTO … FORMAT Name` at the end of a statement, with or without settings before the format. */
const insertPattern = /^(\s*INSERT\s+INTO\s[\s\S]*?)(\s+SETTINGS\s[\s\S]*?)?\s+FORMAT\s+([A-Za-z0-9]+)\s*;?\s*$/i;
/** The same at the start of a text that goes on with data. `VALUES` is SQL, and is left to the parser. */
const inlinePattern = /^\s*INSERT\s+INTO\s[^;]*?\sFORMAT\s+(?!VALUES\b)[A-Za-z0-9]+[ \t]*\r?\n/i;

/**
 * Makes an insert read its data from a file. ClickHouse's server takes the data behind the statement; the engine in a process would parse them as
 * a part of it, and ends at an empty line, or at two bytes 0x0A of a binary format.
 *
 * @returns `null` when the statement is no insert with a format.
 */
export function insertFromFile(sql: string, path: string): string | null {
  const match = insertPattern.exec(sql);
  if (match === null || /\bSELECT\b/i.test(match[1] ?? '')) return null;
  const [, head = '', settings = '', format = ''] = match;
  return `${head} FROM INFILE '${path.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}' COMPRESSION 'none'${settings} FORMAT ${format}`;
}

/** Splits a text that is an insert and its data into the two; `null` when it is something else. */
export function splitInlineInsert(text: Buffer): { readonly sql: string; readonly data: Buffer } | null {
  const start = text.toString('latin1', 0, Math.min(text.length, 65_536));
  const match = inlinePattern.exec(start);
  if (match === null) return null;
  return { sql: text.toString('utf8', 0, match[0].length), data: text.subarray(match[0].length) };
}
