import type { Emitted } from '../../engine/execution/section.ts';
import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema, type Field } from '../../engine/record/schema.ts';
import { cellsOf, OutputRows } from '../row/output-rows.ts';
import { refusePromise } from '../row/call-outcome.ts';
import { RowCalls, type RowFunction } from '../row/row-calls.ts';
import type { Row } from '../row/row-view.ts';

/**
 * The function that makes rows of each record: none, one or several, by a person's function. Each has the record's position, event time and watermark, so what is behind it sees them
 * come in the record's place.
 *
 * @param fields of the rows that it makes.
 */
export function flatMapRows(
  given: RowFunction<Iterable<Row>>,
  fields: readonly Field[],
  input: Schema,
  rejected: RejectedRecords,
): (batch: RecordBatch) => Emitted {
  const calls = new RowCalls(
    // Read to its end inside the call, so that what a generator throws is thrown by the function, and nothing of the record goes out.
    {
      ...given,
      call: (record) => {
        const rows = given.call(record);
        refusePromise(given.name, rows);
        return Array.from(rows, (row) => cellsOf(fields, row));
      },
    },
    input,
    rejected,
  );
  const schema = new Schema(fields);
  return (batch) => {
    const outputs = new OutputRows(schema);
    const well = calls.run(batch, (rows, row) => {
      const origin = {
        partition: batch.partitions[row] ?? 0,
        offset: batch.offsets[row] ?? 0,
        eventTimeMs: batch.eventTimesMs[row] ?? 0,
        watermarkMs: batch.watermarksMs[row] ?? -Infinity,
        flags: batch.flags[row] ?? 0,
      };
      for (const cells of rows) outputs.add(cells, origin);
    });
    return { records: outputs.build(), taken: well.length, filtered: 0, late: selectRows(batch, new Int32Array(0)) };
  };
}
