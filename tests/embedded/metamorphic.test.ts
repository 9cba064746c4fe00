import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { isBalanced } from '../../engine/observability/ledger.ts';
import { messageValue, sliceMessages, type MessageBatch } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { encodeTransactions } from '../../simulation/stream/encode-transactions.ts';
import { transactionStream } from '../../simulation/stream/transaction-stream.ts';

const features = fileURLToPath(new URL('../../features', import.meta.url));
const schema = fileURLToPath(new URL('../../schemas/transaction.avsc', import.meta.url));
const startMs = Date.UTC(2018, 3, 1);
const recordCount = 3_000;

const jobText = `
job: metamorphic
source:
  topic: transactions
  schema: ${schema}
  key: card_id
  eventTime: { field: event_time, delay: 10s }
  duplicates: { by: transaction_id, within: 1h }
features: [${features}/card.yaml, ${features}/terminal.yaml, ${features}/time.yaml]
sinks:
  - { topic: answers, partitions: 1 }
deadLetters: { topic: dead }
state: { flushEvery: 0s }
`;

/** Messages of a small world over several weeks, in arrival order, with disorder, duplicates and malformed records; all in partition 0. */
function input(seed: number): MessageBatch {
  const world = {
    seed,
    startMs,
    customers: 30,
    terminals: 60,
    chunkRecords: recordCount,
    disorder: { share: 0.1, maxDelayMs: 86_400_000 },
    duplicates: { share: 0.03, withinMs: 600_000 },
    malformedShare: 0.02,
  };
  const chunk = transactionStream(world).next().value;
  const { keys, values } = encodeTransactions(chunk, 'include');
  return {
    topic: 'transactions',
    messageCount: recordCount,
    partitions: new Int32Array(recordCount),
    offsets: new Float64Array(recordCount),
    timestampsMs: new Float64Array(recordCount).fill(startMs + 400 * 86_400_000),
    keys,
    values,
  };
}

/** What may change without changing an answer. */
interface Variation {
  readonly bounds: Partial<QueryBounds>;
  readonly partitions: number;
  /** After how many records, each time, the query is stopped and a new one started. */
  readonly restarts: readonly number[];
}

interface Answers {
  readonly answers: readonly string[];
  readonly dead: readonly string[];
}

describe('what must not change an answer', () => {
  let parent = '';
  let runs = 0;
  let job: CheckedJob;
  beforeAll(async () => {
    parent = await mkdtemp(join(tmpdir(), 'sluice-metamorphic-'));
    await writeFile(join(parent, 'job.yaml'), jobText);
    const outcome = await loadJob(join(parent, 'job.yaml'));
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    ({ job } = outcome);
  });
  afterAll(async () => {
    await rm(parent, { recursive: true, force: true });
  });

  async function answersOf(messages: MessageBatch, { bounds, partitions, restarts }: Variation): Promise<Answers> {
    const directory = join(parent, `run-${runs++}`);
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.ensureTopic('transactions', { partitionCount: partitions });
    const cuts = [...restarts.filter((at) => at < recordCount).toSorted((a, b) => a - b), recordCount];
    let from = 0;
    for (const to of cuts) {
      if (to > from) await storage.append(sliceMessages(messages, from, to));
      from = to;
      const logger = { info: fail, warn: fail, error: fail };
      await using run = await openLocalRun(job, { storage, directory, modelsDirectory: '', logger, bounds });
      await run.run('availableNow', new AbortController().signal);
      expect(isBalanced(run.query.totals.ledger)).toBe(true);
    }
    return { answers: await readAll(storage, 'answers'), dead: await readAll(storage, 'dead') };
  }

  it('the size of batches, restarts, and a partition that is quiet', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 1_000_000 }),
        fc.constantFrom(1, 7, 100, 999, 5_000),
        fc.array(fc.integer({ min: 1, max: recordCount }), { maxLength: 3 }),
        fc.boolean(),
        async (seed, maxBatchRecords, restarts, quiet) => {
          const messages = input(seed);
          const plain = await answersOf(messages, { bounds: {}, partitions: 1, restarts: [] });
          expect(plain.answers.length).toBeGreaterThan(recordCount * 0.9);
          expect(plain.dead.length).toBeGreaterThan(0);
          const varied = await answersOf(messages, {
            bounds: { maxBatchRecords, maxBatchesInFlight: 1 + (seed % 4) },
            partitions: quiet ? 2 : 1,
            restarts,
          });
          expect(varied).toEqual(plain);
        },
      ),
      { numRuns: 12 },
    );
  });
});

function fail(message: string): never {
  throw new Error(`nothing should be logged; got "${message}"`);
}

async function readAll(storage: Storage, topic: string): Promise<string[]> {
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const texts: string[] = [];
  for (let left = ranges.reduce((sum, { endOffset }) => sum + endOffset, 0); left > 0;) {
    const polled = await source.poll({ maxRecords: 10_000, maxWaitMs: 1_000 });
    if (polled?.kind !== 'messages') throw new Error('the topic ends before its end');
    for (let i = 0; i < polled.messages.messageCount; i++)
      texts.push(Buffer.from(messageValue(polled.messages, i)).toString());
    left -= polled.messages.messageCount;
  }
  return texts;
}
