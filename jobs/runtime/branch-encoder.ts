import { strict as assert } from 'node:assert';
import { compileExpression, type CompiledExpression } from '../../engine/expression/compile-expression.ts';
import { isValid } from '../../engine/record/column.ts';
import { selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import type { CheckedJob } from '../checked-job.ts';
import { resultSchemaOf } from '../result-schema.ts';

/**
 * The encoders of a job's topics, each given only the results that its topic takes. Called when a query is put together.
 *
 * @param encoders one for each topic that the job writes, in their order.
 */
export function branchEncoders(job: CheckedJob, encoders: readonly Encoder[]): readonly Encoder[] {
  const topics = job.sinks.filter((sink) => sink.kind === 'topic');
  return encoders.map((encoder, index) => {
    const where = topics[index]?.where;
    return where === undefined ? encoder : branchEncoder(encoder, compileExpression(where, resultSchemaOf(job)));
  });
}

/** An encoder of the rows for which a condition holds; what it says of rows is said of those of the whole batch. */
function branchEncoder(encoder: Encoder, condition: CompiledExpression): Encoder {
  return {
    encode: (records) => {
      const rows = rowsWhere(condition, records);
      if (rows.length === records.rowCount) return encoder.encode(records);
      const { messages, failures } = encoder.encode(selectRows(records, rows));
      return { messages, failures: failures.map((failure) => ({ ...failure, row: rows[failure.row] ?? 0 })) };
    },
  };
}

function rowsWhere(condition: CompiledExpression, records: RecordBatch): Int32Array {
  const verdict = condition.evaluate(records);
  assert(verdict.kind === 'number', 'the check lets only boolean conditions come here');
  const rows: number[] = [];
  for (let row = 0; row < records.rowCount; row++) {
    if (verdict.values[row] === 1 && isValid(verdict, row)) rows.push(row);
  }
  return Int32Array.from(rows);
}
