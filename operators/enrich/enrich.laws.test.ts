import { concatMap, map } from 'rxjs';
import { isValid, numberColumn, valueAt } from '../../engine/record/column.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { OperatorUnderLaws } from '../testing/law-run.ts';
import { describeLaws } from '../testing/laws.ts';
import { inputColumn } from '../join/join-definition.ts';
import type { AsOf } from './enrich-definition.ts';
import { EnrichLogic } from './enrich-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'isVersion', type: 'boolean', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
]);
const withInput = schema.with({ name: inputColumn, type: 'long', presence: 'optional' });

/** The law's rows as versions of a table and records that are looked up in it: what the field says, in a partition of that input. */
function asInputs(batch: RecordBatch): RecordBatch {
  const isVersion = columnOf(batch, 'isVersion');
  const inputs = Float64Array.from({ length: batch.rowCount }, (_, row) => (valueAt(isVersion, row) === 1 ? 0 : 1));
  const partitions = batch.partitions.map((partition, row) => partition * 2 + (inputs[row] ?? 0));
  const present = Uint8Array.from(inputs, (_, row) => (isValid(isVersion, row) ? 1 : 0));
  return withColumns({ ...batch, partitions }, withInput, [numberColumn(inputs, present)]);
}

function underLaws(asOf: AsOf): OperatorUnderLaws {
  return {
    schema,
    key: ['card'],
    delayMs: 20,
    arrivalOrder: 'matters within a key',
    open: (start, state) => {
      const logic = new EnrichLogic(
        {
          operatorId: 'laws',
          table: 0,
          on: 'card',
          key: 'card',
          columns: ['amount'],
          asOf,
          missing: 'keep',
          // Records behind the watermark may ask for any version, and so none is forgotten.
          allowedLatenessMs: Infinity,
          inputCount: 2,
          stream: 1,
        },
        withInput,
        start,
      );
      return {
        steps: [{ operator: map(asInputs), fate: 'keeps' }],
        emit: concatMap(async (batch) => {
          await logic.prefetch(batch, state);
          const { records, absorbed, dropped } = logic.enrich(batch);
          return { records, taken: absorbed + records.rowCount, filtered: dropped, late: records };
        }),
        logics: [logic],
      };
    },
  };
}

describeLaws('look-ups as of event time', () => underLaws('event-time'));
describeLaws('look-ups of the latest version', () => underLaws('latest'));
