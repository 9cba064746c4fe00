import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Session } from 'chdb';
import { afterAll, describe, expect, it } from 'vitest';
import { PlanDocument } from '../../engine/plan/plan-document.ts';
import { numberColumn, numberColumnOf, utf8ColumnOf } from '../../engine/record/column.ts';
import { recordBatch, selectRows, type RecordBatch } from '../../engine/record/record-batch.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { handbookBatches } from '../../simulation/handbook/record-batches.ts';
import { generateHandbookTransactions, handbookStartMs } from '../../simulation/handbook/transactions.ts';
import { transactionStream } from '../../simulation/stream/transaction-stream.ts';
import { compileFeatures } from '../compile-features.ts';
import { answersBySql, answersOf, firstDifference, logTable, writeLog } from '../testing/clickhouse-log.ts';
import { runPlan } from '../testing/run-plan.ts';

const session = new Session();
afterAll(() => session.close());

async function jobOf(name: string): Promise<CheckedJob> {
  const outcome = await loadJob(fileURLToPath(new URL(`../../jobs/${name}.yaml`, import.meta.url)));
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
  return outcome.job;
}

/** What differs between SQL and the operators of a job's features over a log; `null` when nothing does. */
function difference({ source, features }: CheckedJob, log: RecordBatch): string | null {
  const { delayMs, maxFutureSkewMs } = source.eventTime;
  stampWatermarks(log, null, new PartitionWatermarks(), { delayMs, maxFutureSkewMs });
  writeLog(session, log);
  return firstDifference(
    answersBySql(session, features, logTable(delayMs)),
    answersOf(features, runPlan(features)(log)),
  );
}

/** The Handbook's first 75 days, of every hundredth customer and every eightieth terminal: another log, with windows as full as the real one's. */
function handbookSlice(): RecordBatch {
  const transactions = generateHandbookTransactions();
  const [whole] = handbookBatches(transactions, transactions.rowCount);
  if (whole === undefined) throw new Error('the stream has rows');
  const endMs = handbookStartMs + 75 * 86_400_000;
  const rows: number[] = [];
  for (let row = 0; (whole.eventTimesMs[row] ?? endMs) < endMs; row++) {
    if ((transactions.customerId[row] ?? 1) % 100 === 0 || (transactions.terminalId[row] ?? 1) % 80 === 0)
      rows.push(row);
  }
  return selectRows(whole, Int32Array.from(rows));
}

/** Simulated transactions over three partitions by card, some of them hours out of order. */
function simulatedLog({ schema }: CheckedJob, rowCount: number): RecordBatch {
  const stream = transactionStream({
    seed: 3,
    customers: 60,
    terminals: 40,
    chunkRecords: rowCount,
    disorder: { share: 0.05, maxDelayMs: 7_200_000 },
  });
  const chunk = stream.next().value;
  const decoder = new TextDecoder();
  const idsOf = ({ data, offsets }: typeof chunk.cardIds, indices: Uint32Array): string[] =>
    Array.from(indices, (index) => decoder.decode(data.subarray(offsets[index], offsets[index + 1])));
  const next = [0, 0, 0];
  const partitions = Int32Array.from(chunk.card, (card) => card % 3);
  return recordBatch(
    schema,
    schema.fields.map(({ name }) => {
      if (name === 'transaction_id') return utf8ColumnOf(Array.from(chunk.sequence, String));
      if (name === 'event_time') return numberColumn(chunk.eventTimeMs);
      if (name === 'card_id') return utf8ColumnOf(idsOf(chunk.cardIds, chunk.card));
      if (name === 'terminal_id') return utf8ColumnOf(idsOf(chunk.terminalIds, chunk.terminal));
      if (name === 'amount') return numberColumn(chunk.amount.map((cents) => cents / 100));
      if (name === 'is_fraud')
        return numberColumnOf(Array.from(chunk.fraudScenario, (scenario) => Number(scenario > 0)));
      if (name === 'fraud_scenario') return numberColumn(Float64Array.from(chunk.fraudScenario));
      throw new Error(`the test does not know how the simulator makes ${name}`);
    }),
    {
      partition: partitions,
      offset: Float64Array.from(partitions, (partition) => (next[partition] = (next[partition] ?? 0) + 1)),
      eventTimesMs: chunk.eventTimeMs,
    },
  );
}

/** What an own feature of a card at a terminal may look like. */
const cardAtTerminal = `
entity: [card_id, terminal_id]
features:
  pair_txn_count_90d: { count: true, over: 90d }
  pair_amount_avg_90d: { avg: amount, over: 90d }
  seconds_since_pair: { sinceLast: true, over: 90d }
  is_new_pair: { expr: pair_txn_count_90d == 0 }
  amount_to_pair_avg: { expr: amount / pair_amount_avg_90d }
`;

describe('the features of the jobs that come with Sluice', () => {
  it.each(['handbook', 'handbook-own'])('are in ClickHouse what the operators give, for %s', async (name) => {
    expect(difference(await jobOf(name), handbookSlice())).toBeNull();
  });

  it('are in ClickHouse what the operators give, for fraud-scoring over partitions with disorder', async () => {
    const job = await jobOf('fraud-scoring');
    expect(difference(job, simulatedLog(job, 8_000))).toBeNull();
  });

  it('are so with features of a composite key beside them, and an hour of lateness allowed', async () => {
    const job = await jobOf('fraud-scoring');
    const shipped = ['card', 'terminal'].map((name) => {
      const file = fileURLToPath(new URL(`../${name}.yaml`, import.meta.url));
      return new PlanDocument(file, readFileSync(file, 'utf8'));
    });
    const files = [...shipped, new PlanDocument('card-terminal.yaml', cardAtTerminal)];
    const context = { schema: job.schema, eventTimeField: 'event_time', allowedLatenessMs: 3_600_000 };
    const { plan, diagnostics } = compileFeatures(files, context);
    expect(diagnostics).toBeNull();
    expect(plan === null ? null : difference({ ...job, features: plan }, simulatedLog(job, 3_000))).toBeNull();
    expect(plan?.columns.map(({ name }) => name)).toContain('is_new_pair');
  });
});
