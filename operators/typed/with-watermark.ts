import { map, type Observable } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import { isValid } from '../../engine/record/column.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import { parseDuration } from '../../engine/time/duration.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import type { NamesOf } from './fields.ts';
import type { Batch, Shape, StreamOperator } from './stream-operator.ts';
import { checkFields, type PlanStep } from './stream-plan.ts';

/**
 * Says which field is a record's event time, and how far behind the newest of its partition the watermark is: Spark's `withWatermark`. The first operator of every stream that runs.
 *
 * @param delay such as `10s`: records that come further out of order than this may be late.
 * @throws {SluiceError} `DURATION_INVALID`; `STREAM_TIME_TWICE`, `FIELD_UNKNOWN` when it is piped.
 */
export function withWatermark<S extends Shape>(field: NamesOf<S['row'], number>, delay: string): StreamOperator<S, S> {
  const delayMs = parseDuration(delay);
  const plan: PlanStep = (before) => {
    checkFields(before, [field], 'withWatermark');
    if (before.eventTime !== null || before.of === 'results' || before.operatorIds.length > 0) {
      throw new SluiceError('STREAM_TIME_TWICE', 'withWatermark must be there once, before all operators with state');
    }
    return {
      plan: { ...before, eventTime: { field, delayMs } },
      meaning: 'watermark',
      open: () => ({ kind: 'step', step: { operator: map((batch: RecordBatch) => batch), fate: 'keeps' }, logics: [] }),
    };
  };
  return stamp<S>(field, delayMs, plan);
}

/** In a plain pipe nobody has read event times and stamped watermarks before; a query does both behind its decoder. */
function stamp<S extends Shape>(field: string, delayMs: number, plan: PlanStep): StreamOperator<S, S> {
  const operator = (source: Observable<Batch<S>>): Observable<Batch<S>> => {
    const watermarks = new PartitionWatermarks();
    return source.pipe(
      map((batch): Batch<S> => {
        const column = columnOf(batch.records, field);
        const eventTimesMs = new Float64Array(batch.records.rowCount);
        for (let row = 0; row < eventTimesMs.length; row++) {
          if (column.kind === 'number' && isValid(column, row)) eventTimesMs[row] = column.values[row] ?? 0;
          else
            throw new SluiceError(
              'FIELD_MISSING',
              `field "${field}" must be an instant in every record; row ${row} has none`,
            );
        }
        const { rowCount } = batch.records;
        const records = {
          ...batch.records,
          eventTimesMs,
          watermarksMs: new Float64Array(rowCount),
          flags: new Uint8Array(rowCount),
        };
        stampWatermarks(records, null, watermarks, { delayMs, maxFutureSkewMs: 0 });
        return { ...batch, records, plan: plan(batch.plan).plan };
      }),
    );
  };
  return Object.assign(operator, { plan });
}
