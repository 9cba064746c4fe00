import type { Column } from '../../record/column.ts';
import type { Schema } from '../../record/schema.ts';
import { SluiceError } from '../../error.ts';
import { ParquetFile } from './parquet-file.ts';

/**
 * A Parquet file as a table: rows without event time or position, such as expected values or labels, a row group at a time. Called by replay and
 * training for what stands beside a stream.
 *
 * @returns for each row group the schema's columns, in its order.
 * @throws {SluiceError} what {@link ParquetFile.open} throws; `TABLE_VALUE_INVALID` when a value cannot be its field's: a table has no dead letters.
 */
export async function* readParquetTable(path: string, schema: Schema): AsyncGenerator<readonly Column[]> {
  await using file = await ParquetFile.open({ path, schema, eventTimeField: null, keyFields: [] });
  for (let group = 0; group < file.rowGroups.length; group++) {
    const firstRow = file.rowGroups[group]?.firstRow ?? 0;
    const read = await file.readRowGroup(group);
    yield schema.fields.map(({ name, type }, index) => {
      const column = read[index];
      const [misfit] = column?.misfits.keys() ?? [];
      if (column === null || column === undefined || misfit !== undefined) {
        const where = misfit === undefined ? 'the file has no such column' : `row ${firstRow + misfit} has another`;
        throw new SluiceError('TABLE_VALUE_INVALID', `column "${name}" of ${path} must hold ${type} values; ${where}`, {
          fields: { file: path, column: name },
        });
      }
      return column.column;
    });
  }
}
