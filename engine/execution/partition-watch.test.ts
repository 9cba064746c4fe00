import { describe, expect, it } from 'vitest';
import { Schema } from '../record/schema.ts';
import { inMemoryQuery } from '../testing/in-memory-query.ts';
import type { MemoryBroker } from '../testing/memory-broker.ts';
import { appendRows, brokerFor, type QueryUnderTest } from '../testing/query-under-test.ts';
import { VirtualClock } from '../testing/virtual-clock.ts';
import { PartitionWatermarks } from '../time/partition-watermarks.ts';
import { PartitionWatch } from './partition-watch.ts';
import { StreamingQuery } from './streaming-query.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
]);
const timeoutMs = 30_000;
const patience = { timeout: 120_000 };

/** Gives every record back; reads one at a time, so that what is paused is seen at once. */
const query: QueryUnderTest = inMemoryQuery({
  name: 'all',
  schema,
  eventTime: { field: 'at', delayMs: 0, idleTimeoutMs: timeoutMs },
  key: ['card'],
  partitions: 3,
  bounds: { maxBatchRecords: 1, maxBatchesInFlight: 1 },
  openSection: () => ({ steps: [], logics: [] }),
});

interface Running extends AsyncDisposable {
  readonly query: StreamingQuery;
  readonly clock: VirtualClock;
}

function start(broker: MemoryBroker): Running {
  const clock = new VirtualClock(1_000_000);
  const stop = new AbortController();
  const definition = query.open({
    source: broker.source('input'),
    commitLog: broker.commitLog(),
    bounds: query.bounds,
  });
  const running = new StreamingQuery({ ...definition, alignment: { inputs: [1_000] } }, clock, () => undefined);
  const ended = running.run('realtime', stop.signal);
  return {
    query: running,
    clock,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await ended;
    },
  };
}

function add(broker: MemoryBroker, partition: number, ...times: readonly number[]): void {
  const rows = times.map((at) => ({ card: 'a', at }));
  appendRows(broker, query.input, rows, { timestampMs: 1_000_000, partition });
}

const committed = (broker: MemoryBroker): ReadonlyMap<number, number> =>
  new Map(broker.committedOffsets().map(({ partition, offset }) => [partition, offset]));

describe('a watch over a partition', () => {
  const watchOver = (
    clock: VirtualClock,
    standsAt: number,
    ranges: () => Promise<readonly { partition: number; startOffset: number; endOffset: number }[]>,
  ): PartitionWatch =>
    new PartitionWatch({
      idle: { inputs: [{ timeoutMs: 100, watermark: 'stays' }], heardBy: 'next stage' },
      alignment: undefined,
      clock,
      positions: { watermarks: new PartitionWatermarks(), nextOffsets: new Map([[0, 5]]) },
      ranges,
      standsAt: () => [{ partition: 0, offset: standsAt }],
      held: [{ partition: 0, startOffset: 0, endOffset: 6 }],
      endsThere: false,
    });

  it('finds it idle at its end, though the end is a marker of a transaction that nobody sees', async () => {
    const clock = new VirtualClock(1_000_000);
    const ranges = () => Promise.resolve([{ partition: 0, startOffset: 0, endOffset: 6 }]);
    const [behind, atEnd] = [watchOver(clock, 5, ranges), watchOver(clock, 6, ranges)];
    clock.advance(100);
    expect(await behind.findIdle()).toEqual([]);
    expect(await atEnd.findIdle()).toEqual([{ partition: 0, from: 5, to: 5, idleForMs: 0 }]);
  });

  it('does not find it idle because the source took long to say how far it goes', async () => {
    const clock = new VirtualClock(1_000_000);
    const watch = watchOver(clock, 6, () => {
      clock.advance(1_000);
      return Promise.resolve([{ partition: 0, startOffset: 0, endOffset: 6 }]);
    });
    clock.advance(150);
    watch.heard([{ partition: 0, from: 5, to: 6 }]);
    expect(await watch.findIdle()).toEqual([]);
  });
});

describe('a query whose partitions are aligned', () => {
  it('pauses those that are ahead until the others have caught up', async () => {
    const broker = brokerFor(query);
    add(broker, 0, 0, 5_000, 6_000);
    add(broker, 1, 100, 4_500, 5_600);
    await using running = start(broker);
    await expect.poll(() => committed(broker).get(0), patience).toBe(3);
    await expect.poll(() => committed(broker).get(1), patience).toBe(3);
    const order = broker.readInOrder('output').map(({ partition, value }) => {
      return [partition, (JSON.parse(value) as { readonly at: string | number }).at];
    });
    // 5,000 of partition 0 is more than 1,000 ahead of 100, so what is behind it waits for 4,500.
    expect(order.map(([partition]) => partition)).toEqual([0, 1, 0, 1, 0, 1]);
    expect(running.query.totals.pausedPartitions).toBe(0);
  });

  it('reads no further than the drift while a partition that is behind is at its end, and goes on once that is idle', async () => {
    const broker = brokerFor(query);
    add(broker, 0, 0);
    add(broker, 1, 5_000, 6_000, 7_000);
    await using running = start(broker);
    await expect.poll(() => running.query.totals.pausedPartitions, patience).toBe(1);
    // It is paused as soon as it has been read, and what was read is committed a little later.
    await expect.poll(() => committed(broker).size, patience).toBe(2);
    expect([...committed(broker)]).toEqual([
      [0, 1],
      [1, 1],
    ]);
    running.clock.advance(timeoutMs - 1);
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
    expect(committed(broker).get(1)).toBe(1);
    running.clock.advance(1);
    await expect.poll(() => committed(broker).get(1), patience).toBe(3);
    expect(running.query.totals).toMatchObject({ idlePartitions: 2, pausedPartitions: 0 });
    // It is heard from again, and holds the others back again.
    add(broker, 0, 1_000);
    add(broker, 1, 8_000);
    await expect.poll(() => committed(broker).get(0), patience).toBe(2);
    await expect.poll(() => running.query.totals.pausedPartitions, patience).toBe(1);
  });

  it('waits for nobody at the end of a run that takes what is there', async () => {
    const broker = brokerFor(query);
    add(broker, 0, 0, 100);
    add(broker, 1, 50_000, 60_000);
    add(broker, 2, 90_000);
    const definition = query.open({
      source: broker.source('input'),
      commitLog: broker.commitLog(),
      bounds: query.bounds,
    });
    const clock = new VirtualClock(1_000_000);
    const running = new StreamingQuery({ ...definition, alignment: { inputs: [1_000] } }, clock, () => undefined);
    await running.run('availableNow', new AbortController().signal);
    expect(running.totals.ledger.read).toBe(5);
  });
});
