import { JsonDecoder, type JsonDecoderOptions } from '../../serde/json-decoder.ts';
import type { Source } from '../source.ts';
import { positionAfterByteOrderMark } from './byte-order-mark.ts';
import type { FileSourceOptions } from './file-source-options.ts';
import { InputFile } from './input-file.ts';
import { lineEnd } from './record-cursor.ts';
import { TextFileSource } from './text-file-source.ts';

/**
 * Opens a file of JSON objects, one a line (jsonlines.org, NDJSON), as a bounded source of records. Called when a job starts. What a line must be, and what a
 * dead letter then says, is the JSON decoder's; a dead letter holds the line.
 *
 * @throws {SluiceError} (by rejection) `FILE_MISSING`, `FILE_UNREADABLE`; `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN`.
 */
export async function openJsonLinesSource(
  options: FileSourceOptions & Pick<JsonDecoderOptions, 'rules'>,
): Promise<Source> {
  const decoder = new JsonDecoder(options);
  const file = await InputFile.open(options.path);
  try {
    const firstPosition = await positionAfterByteOrderMark(file);
    return new TextFileSource(file, { recordEnd: lineEnd, firstPosition, decoder });
  } catch (error) {
    await file[Symbol.asyncDispose]();
    throw error;
  }
}
