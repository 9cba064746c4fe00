import { tap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Emitted } from '../../engine/execution/section.ts';
import { StreamingQuery } from '../../engine/execution/streaming-query.ts';
import { Schema } from '../../engine/record/schema.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import { inMemoryQuery } from '../../engine/testing/in-memory-query.ts';
import { brokerFor } from '../../engine/testing/query-under-test.ts';
import { VirtualClock } from '../../engine/testing/virtual-clock.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import type { WindowDefinition } from './window-definition.ts';
import { WindowLogic } from './window-logic.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
]);
const windowMs = 50;
const cards = ['a', 'b'];
const batchRecords = 20;

const definition: WindowDefinition = {
  operatorId: 'w',
  key: ['card'],
  window: { kind: 'tumbling', sizeMs: windowMs, startMs: 0 },
  where: null,
  aggregates: [{ name: 'n', spec: { function: 'count' }, input: null, where: null }],
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 0,
  closedBy: 'query',
};

interface Placed {
  readonly card: string;
  readonly at: number;
  readonly partition: number;
}

/**
 * Two partitions of the same time, one of which has ten records where the other has one: read record by record, the second is soon far ahead. What the first poll brings of the first passes no record of the
 * second by (in a job that is seen to, docs/windows.md).
 */
const stepsMs = [10, 100] as const;
const backlog: readonly Placed[] = stepsMs.flatMap((stepMs, partition) =>
  Array.from({ length: 20_000 / stepMs }, (_, index) => {
    return { card: cards[index % cards.length] ?? '', at: 1_000 + (index + 1) * stepMs, partition };
  }),
);

interface Backfill {
  /** Sorted: in which order windows of one end come out depends on who closed them. */
  readonly answers: readonly string[];
  readonly late: number;
  readonly mostOpen: number;
}

/** Reads a log to its end, as a job that was away for long does. */
async function backfill(records: readonly Placed[], maxDriftMs: number | null): Promise<Backfill> {
  using directory = temporaryDirectory();
  await using storage = await Storage.open({ directory: directory.path, access: 'write', clock: systemClock });
  storage.createTopic('input', { partitionCount: 2 });
  const messages = records.map(({ partition, ...row }) => ({ value: JSON.stringify(row), partition }));
  await storage.append(messageBatchOf('input', messages));
  let mostOpen = 0;
  const query = inMemoryQuery({
    name: 'backfill',
    schema,
    eventTime: { field: 'at', delayMs: 0, maxFutureSkewMs: 1e15 },
    key: ['card'],
    partitions: 2,
    bounds: { maxBatchRecords: batchRecords, maxBatchesInFlight: 1, flushEveryMs: 1e9 },
    openSection: (start, state) => {
      const logic = new WindowLogic(definition, schema, start);
      const seen = tap<Emitted>(() => (mostOpen = Math.max(mostOpen, logic.windowCount)));
      return { steps: [], emit: (batches) => batches.pipe(emitWith(logic, state), seen), logics: [logic] };
    },
  });
  const broker = brokerFor(query);
  const parts = {
    source: new EmbeddedTopicSource(storage, 'input'),
    commitLog: broker.commitLog(),
    bounds: query.bounds,
  };
  const running = new StreamingQuery(
    { ...query.open(parts), ...(maxDriftMs === null ? {} : { alignment: { inputs: [maxDriftMs] } }) },
    new VirtualClock(0),
    () => undefined,
  );
  await running.run('availableNow', new AbortController().signal);
  const answers = broker.readInOrder('output').map(({ value }) => value);
  return { answers: answers.toSorted(), late: running.totals.ledger.late, mostOpen };
}

describe('a backlog whose partitions are read unevenly', () => {
  it('gives the answers of one that is read evenly, and with a greatest drift holds little more state', async () => {
    const inTime = backlog.toSorted((a, b) => a.at - b.at);
    const even = await backfill(
      inTime.map((record) => ({ ...record, partition: 0 })),
      null,
    );
    const uneven = await backfill(backlog, null);
    const maxDriftMs = 500;
    const aligned = await backfill(backlog, maxDriftMs);
    const furthest = (answers: readonly string[]): readonly string[] => answers.slice(0, -1);
    expect([even.late, uneven.late, aligned.late]).toEqual([0, 0, 0]);
    expect(aligned.answers).toEqual(uneven.answers);
    // At the end of the log the last windows of both are still open; the even one has come as far as its newest record.
    expect(even.answers).toEqual(expect.arrayContaining(furthest(aligned.answers) as string[]));
    // A partition is paused behind the batch in which it comes too far ahead; each of its records opens a window.
    const ahead = maxDriftMs / stepsMs[1] + batchRecords;
    const bound = ahead + 2 * cards.length;
    expect(aligned.mostOpen).toBeLessThan(bound);
    expect(uneven.mostOpen).toBeGreaterThan(3 * bound);
  });
});
