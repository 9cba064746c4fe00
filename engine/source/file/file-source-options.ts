import type { DecoderOptions } from '../../serde/decoder.ts';

/** What every file source is told: where the file is, and what its records are. Columns and keys that the schema has not are skipped. */
export interface FileSourceOptions extends DecoderOptions {
  readonly path: string;
}

/** A file whose columns are wanted; those of a stream of records, or of a table, whose rows have no event time. */
export interface ColumnBinding extends Omit<FileSourceOptions, 'eventTimeField'> {
  readonly eventTimeField: string | null;
}
