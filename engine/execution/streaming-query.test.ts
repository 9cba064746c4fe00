import fc from 'fast-check';
import { map } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { inputSchema, runningTotalSection } from '../../tests/cluster/running-total.ts';
import { SluiceError } from '../error.ts';
import { valueAt } from '../record/column.ts';
import type { DeadLetter } from '../record/dead-letter.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { columnOf } from '../record/record-batch.ts';
import { JsonDecoder } from '../serde/json-decoder.ts';
import { MemoryBroker, type CommitFate } from '../testing/memory-broker.ts';
import { systemClock } from '../time/clock.ts';
import { isBalanced } from '../observability/ledger.ts';
import type { QueryBounds, QueryDefinition } from './query-definition.ts';
import { StreamingQuery } from './streaming-query.ts';

function messagesOf(topic: string, texts: readonly string[]): MessageBatch {
  const offsets = new Int32Array(texts.length + 1);
  texts.forEach((text, index) => (offsets[index + 1] = (offsets[index] ?? 0) + Buffer.byteLength(text)));
  return {
    topic,
    messageCount: texts.length,
    partitions: new Int32Array(texts.length),
    offsets: new Float64Array(texts.length),
    timestampsMs: new Float64Array(texts.length),
    keys: { data: new Uint8Array(0), offsets: new Int32Array(texts.length + 1) },
    values: { data: Uint8Array.from(Buffer.from(texts.join(''))), offsets },
  };
}

function queryOver(broker: MemoryBroker, bounds: Partial<QueryBounds>): QueryDefinition {
  return {
    name: 'totals',
    jobDigest: 'job',
    modelDigest: '',
    source: broker.source('in'),
    decoder: new JsonDecoder({ schema: inputSchema, eventTimeField: 'time', keyFields: ['card'] }),
    watermark: { delayMs: 0, maxFutureSkewMs: 1_000 },
    commitLog: broker.commitLog(),
    openSection: (start, state) => {
      const section = runningTotalSection(start, state);
      return { ...section, steps: [{ operator: map((batch) => batch), fate: 'filtered' }, ...section.steps] };
    },
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    encode: (records) => {
      const texts = Array.from({ length: records.rowCount }, (_, row) =>
        JSON.stringify({ id: valueAt(columnOf(records, 'id'), row), total: valueAt(columnOf(records, 'total'), row) }),
      );
      return { messages: [messagesOf('out', texts)], deadLetters: [] };
    },
    encodeDeadLetters: (letters: readonly DeadLetter[]) =>
      messagesOf(
        'dead',
        letters.map(({ code, offset, value }) => `${code} ${offset} ${Buffer.from(value ?? []).toString()}`),
      ),
    bounds: { maxBatchRecords: 3, maxPollWaitMs: 1, maxBatchesInFlight: 3, flushEveryMs: 0, ...bounds },
  };
}

function brokerWith(values: readonly string[], partitions = 1): MemoryBroker {
  const broker = new MemoryBroker();
  for (const topic of ['out', 'dead']) broker.createTopic(topic, 1);
  broker.createTopic('in', partitions);
  values.forEach((value, index) => broker.append('in', index % partitions, { key: '', value, timestampMs: 10_000 }));
  return broker;
}

const valuesOf = (broker: MemoryBroker, topic: string): string[] =>
  broker
    .read(topic)
    .flat()
    .map(({ value }) => value);
const noRetry = (): void => {
  throw new Error('nothing here is transient');
};

async function run(broker: MemoryBroker, bounds: Partial<QueryBounds> = {}): Promise<StreamingQuery> {
  const query = new StreamingQuery(queryOver(broker, bounds), systemClock, noRetry);
  await query.run('availableNow', new AbortController().signal);
  return query;
}

const record = (index: number): string =>
  index % 11 === 5
    ? `{"id":"${index}", broken`
    : JSON.stringify({ id: `r${index}`, card: `c${index % 4}`, time: 1_000 + index, amount: index });
const inputs = Array.from({ length: 40 }, (_, index) => record(index));

describe('a streaming query', () => {
  it('commits one output for every good record and a dead letter with the original bytes for every bad one', async () => {
    const broker = brokerWith(inputs);
    const { totals } = await run(broker);
    expect(valuesOf(broker, 'out')).toHaveLength(inputs.length - 4);
    expect(valuesOf(broker, 'out')[4]).toBe('{"id":"r4","total":4}');
    expect(valuesOf(broker, 'dead')).toEqual(
      [5, 16, 27, 38].map((index) => `JSON_MALFORMED ${index} ${inputs[index]}`),
    );
    expect(totals.ledger).toMatchObject({ read: 40, scored: 36, deadLettered: 4, late: 0 });
    expect(isBalanced(totals.ledger)).toBe(true);
  });

  it('gives the same outputs and state after any crashes, whatever the batches and the flushes of state', async () => {
    const whole = brokerWith(inputs, 2);
    await run(whole, { maxBatchRecords: 1_000 });
    // With two partitions the order of a batch is what was committed, so outputs are compared as sets and state as bytes.
    const wanted = valuesOf(whole, 'out').toSorted();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 5 }), fc.constantFrom<CommitFate>('die before', 'die after')), {
          maxLength: 6,
        }),
        fc.integer({ min: 1, max: 7 }),
        fc.constantFrom(0, 1e9),
        async (crashes, maxBatchRecords, flushEveryMs) => {
          const broker = brokerWith(inputs, 2);
          for (const [commitsBefore, fate] of crashes) {
            broker.scriptCommits(...Array.from({ length: commitsBefore }, (): CommitFate => 'succeed'), fate);
            await run(broker, { maxBatchRecords, flushEveryMs }).catch((error: unknown) => {
              expect(error).toMatchObject({ code: 'MEMORY_CRASH' });
            });
          }
          broker.scriptCommits();
          await run(broker, { maxBatchRecords, flushEveryMs: 0 });
          expect(idsOf(valuesOf(broker, 'out'))).toEqual(idsOf(wanted));
          for (const card of ['c0', 'c1', 'c2', 'c3']) {
            expect(lastTotal(broker, card)).toBe(lastTotal(whole, card));
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('replays in silence: a restart after everything was committed emits nothing and changes no state', async () => {
    const broker = brokerWith(inputs);
    // 14 batches of 3 and the state's flush at the end, which never comes.
    broker.scriptCommits(...Array.from({ length: 14 }, (): CommitFate => 'succeed'), 'die before');
    await expect(run(broker, { flushEveryMs: 1e9 })).rejects.toMatchObject({ code: 'MEMORY_CRASH' });
    const outputs = valuesOf(broker, 'out');
    expect(outputs).toHaveLength(36);
    const { totals } = await run(broker, { flushEveryMs: 1e9 });
    expect(totals.replayedRecords).toBe(40);
    expect(totals.ledger.read).toBe(0);
    expect(valuesOf(broker, 'out')).toEqual(outputs);
    expect(lastTotal(broker, 'c0')).toBe('164');
    expect((await run(broker)).totals.replayedRecords).toBe(0);
  });

  it('leaves nothing to replay once its topic has gone quiet', async () => {
    const broker = brokerWith(inputs);
    const query = new StreamingQuery(
      queryOver(broker, { flushEveryMs: 30, maxBatchRecords: 1_000 }),
      systemClock,
      noRetry,
    );
    const stopped = new AbortController();
    const running = query.run('realtime', stopped.signal).catch((error: unknown) => error);
    await expect.poll(() => broker.stateOffsets()).toEqual([{ partition: 0, offset: 40 }]);
    expect(broker.committedOffsets()).toEqual(broker.stateOffsets());
    expect(lastTotal(broker, 'c0')).toBe('164');
    // As after a crash: the first one never comes to its end.
    const { totals } = await run(broker);
    expect(totals.replayedRecords).toBe(0);
    stopped.abort();
    await running;
  });

  it('is fenced by a second owner of its task', async () => {
    const broker = brokerWith(inputs);
    const first = queryOver(broker, {});
    await first.commitLog.acquire();
    await run(broker);
    const stale = {
      ranges: [],
      metadata: { batchSequence: 0, watermarksMs: [], jobDigest: '', modelDigest: '' },
      outputs: [],
      state: null,
    };
    await expect(first.commitLog.commit(stale)).rejects.toMatchObject({ code: 'TASK_FENCED' });
  });

  it('waits for a dependency that is away with its batches in hand, bounded, and then goes on', async () => {
    const broker = brokerWith(inputs);
    const definition = queryOver(broker, {});
    let failures = 0;
    let polls = 0;
    const commit = definition.commitLog.commit.bind(definition.commitLog);
    definition.commitLog.commit = async (batch) => {
      if (failures++ < 3) throw new SluiceError('STORAGE_FULL', 'no space', { retryable: 'transient' });
      await commit(batch);
    };
    const poll = definition.source.poll.bind(definition.source);
    definition.source.poll = (poller) => {
      polls++;
      return poll(poller);
    };
    const pollsAtRetry: number[] = [];
    const clock = { ...systemClock, sleep: () => Promise.resolve() };
    const query = new StreamingQuery(definition, clock, () => pollsAtRetry.push(polls));
    await query.run('availableNow', new AbortController().signal);
    expect(pollsAtRetry).toHaveLength(3);
    expect(Math.max(...pollsAtRetry)).toBeLessThanOrEqual(3);
    expect(query.totals.ledger.read).toBe(40);
  });

  it('does not let a record from the future move the watermark', async () => {
    const future = JSON.stringify({ id: 'f', card: 'c', time: 99_000, amount: 1 });
    const now = JSON.stringify({ id: 'n', card: 'c', time: 9_000, amount: 1 });
    const broker = brokerWith([now, future, now]);
    const watermarks: number[] = [];
    const query = new StreamingQuery(queryOver(broker, {}), systemClock, noRetry);
    query.committed.subscribe(({ records }) => watermarks.push(...records.watermarksMs));
    await query.run('availableNow', new AbortController().signal);
    expect(watermarks).toEqual([-Infinity, 9_000, 9_000]);
    expect(query.totals.futureGuarded).toBe(1);
  });

  it('halts by name when the log no longer reaches back to the state', async () => {
    const broker = brokerWith(inputs);
    await run(broker);
    const gone = queryOver(broker, {});
    gone.source.ranges = () => Promise.resolve([{ partition: 0, startOffset: 45, endOffset: 50 }]);
    const halted = new StreamingQuery(gone, systemClock, noRetry).run('availableNow', new AbortController().signal);
    await expect(halted).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
  });
});

const idsOf = (outputs: readonly string[]): string[] =>
  outputs.map((text) => (JSON.parse(text) as { id: string }).id).toSorted();

function lastTotal(broker: MemoryBroker, card: string): string | undefined {
  const entry = broker.stateOf('total').find(({ key }) => Buffer.from(key).toString() === card);
  return entry === undefined ? undefined : Buffer.from(entry.value).toString();
}
