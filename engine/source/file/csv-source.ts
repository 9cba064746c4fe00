import { SluiceError } from '../../error.ts';
import type { Source } from '../source.ts';
import { positionAfterByteOrderMark } from './byte-order-mark.ts';
import { bindColumns } from './column-binding.ts';
import { CsvDecoder } from './csv-decoder.ts';
import { csvRecordEnd, splitRow } from './csv-layout.ts';
import type { FileSourceOptions } from './file-source-options.ts';
import { InputFile } from './input-file.ts';
import { RecordCursor } from './record-cursor.ts';
import { TextFileSource } from './text-file-source.ts';

/** What a CSV source may be told besides. */
export interface CsvSourceOptions extends FileSourceOptions {
  /** One ASCII character between fields: `,` unless it is said otherwise; `;`, `|` and tab are usual, too. */
  readonly delimiter?: string;
}

/**
 * Opens a CSV file (RFC 4180, UTF-8, a header with the columns' names) as a bounded source of records. Called when a job starts; the header is checked
 * then. What a row must be, and what a dead letter then says, is {@link CsvDecoder}'s; a dead letter holds the row.
 *
 * @throws {SluiceError} (by rejection) `FILE_MISSING`, `FILE_UNREADABLE`; `CSV_DELIMITER_INVALID`; `CSV_HEADER_INVALID` when the file has no header or one that names a column twice;
 * `COLUMN_MISSING`, `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN` when its columns cannot give the schema's fields.
 */
export async function openCsvSource(options: CsvSourceOptions): Promise<Source> {
  const delimiter = delimiterByte(options.delimiter ?? ',');
  const recordEnd = csvRecordEnd(delimiter);
  const file = await InputFile.open(options.path);
  try {
    const cursor = new RecordCursor(file, recordEnd, await positionAfterByteOrderMark(file));
    const columns = await readHeader(cursor, options.path, delimiter);
    const decoder = new CsvDecoder({
      schema: options.schema,
      eventTimeField: options.eventTimeField,
      keyFields: options.keyFields,
      delimiter,
      columnCount: columns.length,
      columnOfField: bindColumns(options, columns),
    });
    return new TextFileSource(file, { recordEnd, firstPosition: cursor.nextPosition, decoder });
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}

function delimiterByte(delimiter: string): number {
  const byte = delimiter.charCodeAt(0);
  if (delimiter.length !== 1 || byte > 0x7f || '"\r\n'.includes(delimiter)) {
    throw new SluiceError(
      'CSV_DELIMITER_INVALID',
      `the delimiter of a CSV file must be one ASCII character, and neither a quote nor an end of line; got ${JSON.stringify(delimiter)}`,
    );
  }
  return byte;
}

async function readHeader(cursor: RecordCursor, path: string, delimiter: number): Promise<readonly string[]> {
  while (!cursor.take()) {
    if (!(await cursor.fill()))
      throw headerInvalid(path, 'must begin with a header that names its columns; got no line at all');
  }
  const columns = splitRow(cursor.data.subarray(cursor.start, cursor.end), delimiter).map((name) => name.trim());
  const twice = columns.find((name, index) => columns.indexOf(name) < index);
  if (twice !== undefined) throw headerInvalid(path, `must name each column once; got "${twice}" twice in its header`);
  return columns;
}

function headerInvalid(path: string, problem: string): SluiceError {
  return new SluiceError('CSV_HEADER_INVALID', `file ${path} ${problem}`, { fields: { file: path } });
}
