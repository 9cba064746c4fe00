import { arrivalsOf } from '../../engine/exchange/arrivals.ts';
import { passengers } from '../../engine/exchange/exchange-format.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';

/**
 * When the log took the records of the batch at hand: taken out of it before the first operator of a stream, which knows fields alone, and looked at by an operator that tells of it. One for each
 * section; a batch has left the last operator before the next one enters the first.
 */
export class Arrivals {
  #batch: RecordBatch | null = null;

  /** Takes the column of arrivals out of a batch, where it has one. */
  takeFrom(batch: RecordBatch): RecordBatch {
    const { fields } = batch.schema;
    const at = batch.schema.indexOf(passengers.arrival);
    this.#batch = at < 0 ? null : batch;
    if (at < 0) return batch;
    return {
      ...batch,
      schema: new Schema(fields.filter((_, index) => index !== at)),
      columns: batch.columns.filter((_, index) => index !== at),
    };
  }

  /** The arrivals of what is left of the batch, in order; `null` where they are not known: of rows that were read from no log. */
  of(records: RecordBatch): Float64Array | null {
    if (this.#batch === null) return null;
    const { rowCount, partitions, offsets } = this.#batch;
    const column = columnOf(this.#batch, passengers.arrival);
    if (column.kind !== 'number') return null;
    return arrivalsOf(records, { messageCount: rowCount, partitions, offsets, timestampsMs: column.values });
  }
}
