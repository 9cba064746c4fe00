import type { RejectedRecords } from '../../engine/execution/rejected-records.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { functionFailed, isOfTheJob, refusePromise, rejectionOf, type ErrorPolicy } from './call-outcome.ts';
import { RowView, type Row } from './row-view.ts';

/** A person's function, and what becomes of records that it throws on. */
export interface RowFunction<Given> {
  /** Names the operator, for errors. */
  readonly name: string;
  readonly errors: ErrorPolicy;
  /** Synchronous, and of its argument alone. What it does to the record's object is no matter; the record is valid while it runs. */
  call(record: Row): Given;
}

/** Calls a person's function for each row of a batch, in order, and keeps what it gave for those that it did not throw on. */
export class RowCalls<Given> {
  readonly #function: RowFunction<Given>;
  readonly #rejected: RejectedRecords;
  readonly #view: RowView;

  /** @param schema of the batches. */
  constructor(given: RowFunction<Given>, schema: Schema, rejected: RejectedRecords) {
    this.#function = given;
    this.#rejected = rejected;
    this.#view = new RowView(schema);
  }

  /**
   * @param take is given what the function gave, row by row; what it throws counts as thrown by the function.
   * @returns the rows that went well.
   * @throws {SluiceError} `FUNCTION_FAILED` where the function may not throw; `FUNCTION_ASYNC`.
   */
  run(batch: RecordBatch, take: (given: Given, row: number) => void): Int32Array {
    const { name, errors } = this.#function;
    const well = new Int32Array(batch.rowCount);
    let count = 0;
    this.#view.open(batch);
    for (let row = 0; row < batch.rowCount; row++) {
      try {
        const given = this.#function.call(this.#view.at(row));
        refusePromise(name, given);
        take(given, row);
      } catch (thrown) {
        if (isOfTheJob(thrown)) throw thrown;
        if (errors === 'fail') {
          throw functionFailed(name, `at partition ${batch.partitions[row]}, offset ${batch.offsets[row]}`, thrown);
        }
        this.#rejected.add(batch, row, rejectionOf(name, thrown));
        continue;
      }
      well[count++] = row;
    }
    return well.subarray(0, count);
  }
}

/** The batch with these rows alone; as it is where that is all of them. */
export function keepRows(batch: RecordBatch, rows: Int32Array): RecordBatch {
  return rows.length === batch.rowCount ? batch : selectRows(batch, rows);
}
