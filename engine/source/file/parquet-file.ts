import { parquetMetadataAsync, parquetRead, type AsyncBuffer, type DecodedArray, type FileMetaData } from 'hyparquet';
import { compressors as javascriptCodecs } from 'hyparquet-compressors';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { SluiceError, messageOf } from '../../error.ts';
import { accepts, describeType, kindOf } from './parquet-column-kind.ts';
import { readValues, type ReadColumn, type ValueRule } from './parquet-values.ts';
import { bindColumns } from './column-binding.ts';
import type { ColumnBinding } from './file-source-options.ts';
import { InputFile } from './input-file.ts';

/** Codecs by name. Node's own are C and win by several times where it has them. */
const codecs = {
  ...javascriptCodecs,
  GZIP: (bytes: Uint8Array): Uint8Array => gunzipSync(bytes),
  BROTLI: (bytes: Uint8Array): Uint8Array => brotliDecompressSync(bytes),
};

/** Instants become milliseconds, towards the past where they are finer; text stays bytes, since it goes into a slab as such. */
const parsers = {
  timestampFromMilliseconds: (instant: bigint): number => Number(instant),
  timestampFromMicroseconds: (instant: bigint): number => floorDivide(instant, 1_000n),
  timestampFromNanoseconds: (instant: bigint): number => floorDivide(instant, 1_000_000n),
  dateFromDays: (days: number): number => days * 86_400_000,
  stringFromBytes: (bytes: Uint8Array): Uint8Array => bytes,
  jsonFromBytes: (bytes: Uint8Array): Uint8Array => bytes,
};

/** A column of the file that fills a field of the schema. */
interface FieldColumn {
  readonly name: string;
  readonly rule: ValueRule;
}

/** Rows of the file that are stored, and read, together. */
export interface RowGroupExtent {
  readonly firstRow: number;
  readonly rowCount: number;
}

/**
 * A Parquet file whose columns were checked against a schema. The footer is read when it is opened; after that one row group at a time, and of it only the
 * columns that the schema names.
 */
export class ParquetFile implements AsyncDisposable {
  readonly path: string;
  readonly rowCount: number;
  readonly rowGroups: readonly RowGroupExtent[];
  readonly #file: InputFile;
  readonly #buffer: AsyncBuffer;
  readonly #metadata: FileMetaData;
  readonly #columns: readonly (FieldColumn | null)[];

  private constructor(file: InputFile, metadata: FileMetaData, columns: readonly (FieldColumn | null)[]) {
    this.path = file.path;
    this.#file = file;
    this.#buffer = asyncBuffer(file);
    this.#metadata = metadata;
    this.#columns = columns;
    let firstRow = 0;
    this.rowGroups = metadata.row_groups.map((group) => {
      const extent = { firstRow, rowCount: Number(group.num_rows) };
      firstRow += extent.rowCount;
      return extent;
    });
    this.rowCount = firstRow;
  }

  /**
   * @throws {SluiceError} `FILE_MISSING`, `FILE_UNREADABLE`; `PARQUET_INVALID` when the file is none, or is cut off; `PARQUET_CODEC_UNKNOWN`; `COLUMN_MISSING`, `COLUMN_TYPE` when its
   * columns cannot give the schema's fields.
   */
  static async open(options: ColumnBinding): Promise<ParquetFile> {
    const file = await InputFile.open(options.path);
    try {
      const metadata = await readFooter(file);
      return new ParquetFile(file, metadata, bindFields(options, metadata));
    } catch (error) {
      await file[Symbol.asyncDispose]();
      throw error;
    }
  }

  /**
   * All the schema's fields over the rows of one row group, in the schema's order; `null` for an optional field that the file has not.
   *
   * @throws {SluiceError} `PARQUET_DAMAGED` when a page cannot be decoded, naming the column and its rows.
   */
  async readRowGroup(index: number): Promise<readonly (ReadColumn | null)[]> {
    const read: (ReadColumn | null)[] = [];
    // One column after the other: only one is held in the reader's form, which takes several times the room of ours.
    for (const column of this.#columns) read.push(column === null ? null : await this.#readColumn(index, column));
    return read;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file[Symbol.asyncDispose]();
  }

  async #readColumn(index: number, { name, rule }: FieldColumn): Promise<ReadColumn> {
    const { firstRow, rowCount } = this.rowGroups[index] ?? { firstRow: 0, rowCount: 0 };
    // The reader is shown the one row group: it would look through all of them for each read, and files may have thousands.
    const row_groups = this.#metadata.row_groups.slice(index, index + 1);
    const chunks: DecodedArray[] = [];
    try {
      await parquetRead({
        file: this.#buffer,
        metadata: { ...this.#metadata, row_groups, num_rows: BigInt(rowCount) },
        columns: [name],
        compressors: codecs,
        parsers,
        onChunk: (chunk) => chunks.push(chunk.columnData),
      });
      const readCount = chunks.reduce((count, chunk) => count + chunk.length, 0);
      if (readCount !== rowCount) throw new Error(`its pages hold ${readCount} values for ${rowCount} rows`);
    } catch (cause) {
      if (cause instanceof SluiceError) throw cause;
      throw new SluiceError(
        'PARQUET_DAMAGED',
        `could not read column "${name}" in rows ${firstRow} to ${firstRow + rowCount - 1} of file ${this.path}: ${messageOf(cause)}; copy or write the file anew`,
        { fields: { file: this.path, column: name, rowGroup: index, row: firstRow }, cause },
      );
    }
    return readValues(chunks, rowCount, rule);
  }
}

async function readFooter(file: InputFile): Promise<FileMetaData> {
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(asyncBuffer(file));
  } catch (cause) {
    if (cause instanceof SluiceError) throw cause;
    throw new SluiceError(
      'PARQUET_INVALID',
      `file ${file.path} must be a whole Parquet file; got ${file.sizeBytes} bytes without a valid footer (${messageOf(cause)}): it is of another format, was cut off, or is still being written`,
      { fields: { file: file.path }, cause },
    );
  }
  for (const group of metadata.row_groups) {
    for (const { meta_data: column } of group.columns) {
      if (column !== undefined && column.codec !== 'UNCOMPRESSED' && !(column.codec in codecs)) {
        throw new SluiceError(
          'PARQUET_CODEC_UNKNOWN',
          `file ${file.path} must be compressed with one of ${Object.keys(codecs).join(', ')}, or not at all; got ${column.codec} in column "${column.path_in_schema.join('.')}"`,
          { fields: { file: file.path } },
        );
      }
    }
  }
  return metadata;
}

/** Finds each field's column, and checks that what it holds can be the field's. */
function bindFields(options: ColumnBinding, metadata: FileMetaData): readonly (FieldColumn | null)[] {
  const elements = topLevelElements(metadata);
  const positions = bindColumns(
    options,
    elements.map((element) => element.name),
  );
  const wrong: string[] = [];
  const columns = options.schema.fields.map((field, index) => {
    const element = elements[positions[index] ?? -1];
    if (element === undefined) return null;
    const kind = kindOf(element);
    if (!accepts(field.type, kind)) wrong.push(`"${field.name}" as ${field.type}; got ${describeType(element)}`);
    const scale = element.scale ?? (element.logical_type?.type === 'DECIMAL' ? element.logical_type.scale : 0);
    return { name: element.name, rule: { type: field.type, decimalFactor: kind === 'decimal' ? 10 ** scale : 1 } };
  });
  if (wrong.length > 0) {
    throw new SluiceError('COLUMN_TYPE', `file ${options.path} must hold ${wrong.join(', and must hold ')}`, {
      fields: { file: options.path },
    });
  }
  return columns;
}

/** The columns right under the root: the schema is stored as a tree written out depth first. */
function topLevelElements(metadata: FileMetaData): FileMetaData['schema'] {
  const elements: FileMetaData['schema'] = [];
  let at = 1;
  const skip = (): void => {
    for (let children = metadata.schema[at++]?.num_children ?? 0; children > 0; children--) skip();
  };
  while (at < metadata.schema.length) {
    const element = metadata.schema[at];
    if (element !== undefined) elements.push(element);
    skip();
  }
  return elements;
}

function asyncBuffer(file: InputFile): AsyncBuffer {
  return {
    byteLength: file.sizeBytes,
    slice: async (start, end = file.sizeBytes) => (await file.read(start, end)).buffer,
  };
}

function floorDivide(dividend: bigint, divisor: bigint): number {
  const quotient = dividend / divisor;
  return Number(dividend < 0n && quotient * divisor !== dividend ? quotient - 1n : quotient);
}
