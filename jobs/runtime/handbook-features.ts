import type { Source, RecordsPolled } from '../../engine/source/source.ts';
import { modelColumns, modelValues } from '../../features/model-input.ts';
import type { HandbookFeatures } from '../../learning/evaluation/handbook-benchmark.ts';
import { handbookRows } from '../../simulation/handbook/record-batches.ts';
import type { HandbookTransactions } from '../../simulation/handbook/transactions.ts';
import type { CheckedJob } from '../checked-job.ts';
import { replayFeatures } from './replay-features.ts';

/** The simulated Handbook as a source of records; the offset is the record's number. */
export function handbookSource(transactions: HandbookTransactions): Source {
  let next = 0;
  return {
    name: 'the Handbook stream',
    ranges: () => Promise.resolve([{ partition: 0, startOffset: 0, endOffset: transactions.rowCount }]),
    seek: ([first]) => {
      next = first?.offset ?? 0;
      return Promise.resolve();
    },
    poll: ({ maxRecords }): Promise<RecordsPolled | 'end'> => {
      if (next >= transactions.rowCount) return Promise.resolve('end');
      const records = handbookRows(transactions, next, Math.min(next + maxRecords, transactions.rowCount));
      next += records.rowCount;
      return Promise.resolve({ kind: 'records', records, deadLetters: [] });
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/**
 * Runs a job's features over the Handbook's stream and gathers them with the amount, as the benchmark's models get them.
 *
 * @param job over the Handbook's columns.
 */
export async function handbookFeatures(job: CheckedJob, transactions: HandbookTransactions): Promise<HandbookFeatures> {
  const columns = modelColumns(job.features);
  const features = new Map([['TX_AMOUNT', transactions.amount as Float64Array | Float32Array]]);
  for (const { name } of columns) features.set(name, new Float32Array(transactions.rowCount));
  let at = 0;
  for await (const { records } of replayFeatures(job, { source: handbookSource(transactions), decoder: null })) {
    for (const column of columns) features.get(column.name)?.set(modelValues(records, column), at);
    at += records.rowCount;
  }
  const { eventTimeMs, customerId, fraud } = transactions;
  return { eventTimeMs, customerId, fraud, features };
}
