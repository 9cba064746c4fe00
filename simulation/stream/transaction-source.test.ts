import { describe, expect, it } from 'vitest';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import { toRows } from '../../engine/record/record-batch.ts';
import type { MessageBatch } from '../../engine/record/message-batch.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { encodeTransactions } from './encode-transactions.ts';
import { SimulatedSource, transactionSchema } from './transaction-source.ts';
import { transactionStream } from './transaction-stream.ts';

async function readAll(source: SimulatedSource, maxRecords: number): Promise<RecordBatch[]> {
  const batches: RecordBatch[] = [];
  for (;;) {
    const polled = await source.poll({ maxRecords, maxWaitMs: 0 });
    if (polled === 'end') return batches;
    batches.push(polled.records);
  }
}

describe('the simulated source', () => {
  const world = { seed: 3, customers: 200, terminals: 400 };

  it('gives the records that the messages of the same stream decode to', async () => {
    const [batch] = await readAll(new SimulatedSource({ world, days: 2 }), 500);
    const chunk = transactionStream({ ...world, chunkRecords: 500 }).next().value;
    const { keys, values } = encodeTransactions(chunk, 'include');
    const messages: MessageBatch = {
      topic: 't',
      messageCount: 500,
      partitions: new Int32Array(500),
      offsets: Float64Array.from({ length: 500 }, (_, row) => row),
      timestampsMs: new Float64Array(500),
      keys,
      values,
    };
    const decoder = new JsonDecoder({
      schema: transactionSchema,
      eventTimeField: 'event_time',
      keyFields: ['card_id'],
    });
    const { records } = decoder.decode(messages);
    expect(batch === undefined ? [] : toRows(batch)).toEqual(toRows(records));
  });

  it('ends after its days, and is the same however it is polled', async () => {
    const source = new SimulatedSource({ world, days: 3 });
    const small = (await readAll(source, 100)).flatMap(toRows);
    await source.seek([{ partition: 0, offset: 0 }]);
    const large = (await readAll(source, 1_000)).flatMap(toRows);
    expect(small).toEqual(large);
    await source.seek([{ partition: 0, offset: 777 }]);
    const [rest] = await readAll(source, 5_000);
    expect(rest === undefined ? [] : [toRows(rest)[0], rest.offsets[0]]).toEqual([large[777], 777]);
    expect(small.length).toBeGreaterThan(800);
    const times = small.map((row) => Number(row['event_time']));
    expect(Math.max(...times)).toBeLessThan(Date.UTC(2026, 0, 4));
  });
});
