import fc from 'fast-check';
import { tap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import type { Commit, CommitLog, OffsetRange } from '../../engine/execution/commit-log.ts';
import { recover } from '../../engine/execution/recover.ts';
import { toRows } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { Deed } from '../../engine/testing/action.ts';
import { inMemoryQuery } from '../../engine/testing/in-memory-query.ts';
import type { MemoryBroker } from '../../engine/testing/memory-broker.ts';
import { QueryDriver, rowOf } from '../../engine/testing/query-driver.ts';
import type { QueryUnderTest } from '../../engine/testing/query-under-test.ts';
import {
  addData,
  advanceClock,
  checkAnswer,
  checkNewAnswer,
  crash,
  restart,
  testQuery,
} from '../../engine/testing/index.ts';
import { emitWith } from '../stateful/emit-logic.ts';
import { WindowLogic } from './window-logic.ts';
import type { WindowDefinition } from './window-definition.ts';

const schema = new Schema([
  { name: 'id', type: 'long', presence: 'required' },
  { name: 'card', type: 'string', presence: 'required' },
  { name: 'at', type: 'timestamp', presence: 'required' },
]);
const timeoutMs = 1_000;
const partitions = 3;

const definition: WindowDefinition = {
  operatorId: 'w',
  key: ['card'],
  window: { kind: 'tumbling', sizeMs: 10, startMs: 0 },
  where: null,
  aggregates: [{ name: 'n', spec: { function: 'count' }, input: null, where: null }],
  outputMode: 'append',
  allowedLatenessMs: 0,
  lateness: 'wait',
  delayMs: 0,
  closedBy: 'query',
};

type Watermark = 'stays' | 'goes on';

function counts(watermark: Watermark, change: Partial<WindowDefinition> = {}, flushEveryMs = 0): QueryUnderTest {
  return inMemoryQuery({
    name: 'counts',
    schema,
    eventTime: { field: 'at', delayMs: 0, idleTimeoutMs: timeoutMs, whenIdle: watermark },
    key: ['card'],
    partitions,
    bounds: { flushEveryMs },
    openSection: (start, state) => {
      const logic = new WindowLogic({ ...definition, ...change }, schema, start);
      return { steps: [], emit: emitWith(logic, state), logics: [logic] };
    },
  });
}

const row = (at: number, card = 'a'): { id: number; at: number; card: string } => ({ id: at, at, card });
const to = (partition: number): { readonly partition: number; readonly appendedAtMs: number } => {
  return { partition, appendedAtMs: 1_000_000 };
};

describe('windows that wait for the least watermark', () => {
  it('no longer wait for a partition that is idle, and are not moved back by it when it comes again', async () => {
    await testQuery(counts('stays'), [
      addData([row(3)], to(0)),
      addData([row(3)], to(1)),
      addData([row(40)], to(0)),
      checkAnswer([]),
      advanceClock(timeoutMs - 1),
      addData([row(60)], to(0)),
      checkAnswer([]),
      advanceClock(1),
      // The watermark of partition 0 is 60 now.
      checkNewAnswer([
        { window_start: 0, n: 2 },
        { window_start: 40, n: 1 },
      ]),
      addData([row(45), row(61)], to(1)),
      addData([row(75)], to(0)),
      checkNewAnswer([]),
      // What came too late is late: 45 is in no window that is open.
      addData([row(72)], to(1)),
      checkNewAnswer([{ window_start: 60, n: 2 }]),
    ]);
  });

  it('stay open where the whole source is quiet', async () => {
    await testQuery(counts('stays'), [
      addData([row(3)], to(0)),
      addData([row(33)], to(1)),
      advanceClock(100 * timeoutMs),
      checkAnswer([]),
      addData([row(50)], to(1)),
      checkNewAnswer([
        { window_start: 0, n: 1 },
        { window_start: 30, n: 1 },
      ]),
    ]);
  });

  it('close by the clock where the job says so', async () => {
    await testQuery(counts('goes on'), [
      addData([row(3)], to(0)),
      addData([row(33)], to(1)),
      advanceClock(timeoutMs),
      checkNewAnswer([
        { window_start: 0, n: 1 },
        { window_start: 30, n: 1 },
      ]),
      addData([row(33 + timeoutMs)], to(1)),
      crash(),
      restart(),
      advanceClock(timeoutMs),
      checkNewAnswer([{ n: 1 }]),
    ]);
  });

  it('close by the clock of their own partition where its watermark closes them', async () => {
    await testQuery(counts('goes on', { closedBy: 'partition' }), [
      addData([row(3)], to(0)),
      advanceClock(timeoutMs - 1),
      addData([row(3, 'b')], to(1)),
      advanceClock(1),
      checkNewAnswer([{ card: 'a', n: 1 }]),
    ]);
  });

  it('are closed by a replay where they were closed by the clock, and by no other', async () => {
    await testQuery(counts('stays', {}, 1e9), [
      addData([row(3)], to(0)),
      addData([row(3)], to(1)),
      addData([row(40)], to(0)),
      advanceClock(timeoutMs - 1),
      addData([row(41)], to(0)),
      advanceClock(1),
      addData([row(42)], to(0)),
      checkNewAnswer([{ window_start: 0, n: 2 }]),
      crash(),
      restart(),
      // Had the replay not been told, the window would come out again here, with the record that is late for it.
      addData([row(4), row(45)], to(1)),
      addData([row(60)], to(0)),
      checkNewAnswer([]),
      addData([row(60)], to(1)),
      checkNewAnswer([{ window_start: 40, n: 4 }]),
    ]);
  });
});

/** A query whose committed order is written down, whatever becomes of the process that committed it. */
function recording(
  query: QueryUnderTest,
  order: (readonly OffsetRange[])[],
  broker: () => MemoryBroker,
): QueryUnderTest {
  const record = (log: CommitLog): CommitLog => ({
    state: log.state,
    acquire: () => log.acquire(),
    commit: async (batch: Commit) => {
      try {
        await log.commit(batch);
      } finally {
        if (broker().lastMetadata() === batch.metadata) order.push(batch.ranges);
      }
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  });
  return { ...query, open: (parts) => query.open({ ...parts, commitLog: record(parts.commitLog) }) };
}

/** What the operators give, in one life, along the recorded order. */
async function replayed(
  query: QueryUnderTest,
  broker: MemoryBroker,
  order: readonly (readonly OffsetRange[])[],
): Promise<readonly unknown[]> {
  const rows: unknown[] = [];
  const definitionOf = query.open({
    source: broker.source('input'),
    commitLog: broker.commitLog(),
    bounds: query.bounds,
  });
  const ends = new Map(order.flat().map(({ partition, to: end }) => [partition, end]));
  await recover(
    {
      ...definitionOf,
      openSection: (start, state) => {
        const section = definitionOf.openSection(start, state);
        const { emit } = section;
        if (emit === undefined) return section;
        return {
          ...section,
          emit: (batches) =>
            batches.pipe(
              emit,
              tap(({ records }) => rows.push(...toRows(records))),
            ),
        };
      },
    },
    {
      committed: [...ends].map(([partition, offset]) => ({ partition, offset })),
      metadata: null,
      stateAt: [],
      stateMetadata: null,
      replay: order,
    },
    new AbortController().signal,
  );
  return rows;
}

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({
        partition: fc.nat(partitions - 1),
        rows: fc.array(fc.record({ step: fc.integer({ min: -12, max: 30 }), card: fc.constantFrom('a', 'b') }), {
          minLength: 1,
          maxLength: 4,
        }),
      })
      .map(({ partition, rows }): Deed => {
        return {
          kind: 'addData',
          rows: rows.map(({ step, card }) => ({ id: step, at: step, card })),
          options: to(partition),
        };
      }),
  },
  {
    weight: 3,
    arbitrary: fc.integer({ min: 100, max: 2_500 }).map((durationMs): Deed => ({ kind: 'advanceClock', durationMs })),
  },
  { weight: 1, arbitrary: fc.constant<Deed>({ kind: 'crash' }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('crashAt' as const),
      step: fc.constantFrom('begin' as const, 'commit' as const, 'write state' as const),
      when: fc.constantFrom('before' as const, 'after' as const),
    }),
  },
);

/** The deeds as they can be done: time goes on from row to row, and what has died is started again. */
async function perform(driver: QueryDriver, deeds: readonly Deed[]): Promise<void> {
  let now = 100;
  for (const each of deeds) {
    if (driver.story.life !== 'running') await driver.perform({ kind: 'restart', as: null });
    const rows = each.kind === 'addData' ? each.rows : [];
    const placed = rows.map((given) => {
      const { at, ...rest } = given as { readonly at: number };
      now += Math.max(0, at);
      return { ...rest, at: now + Math.min(0, at) };
    });
    await driver.perform(each.kind === 'addData' ? { ...each, rows: placed } : each);
  }
  if (driver.story.life !== 'running') await driver.perform({ kind: 'restart', as: null });
}

describe('what windows give where partitions become idle', () => {
  it.each<readonly [Watermark, WindowDefinition['closedBy'], number]>([
    ['stays', 'query', 0],
    ['stays', 'query', 1e9],
    ['goes on', 'query', 0],
    ['goes on', 'partition', 700],
  ])(
    'is a function of the log and the recorded order, whatever dies: %s, %s, %d',
    async (watermark, closedBy, flush) => {
      const holds = fc.asyncProperty(fc.array(deed, { minLength: 4, maxLength: 14 }), async (deeds) => {
        const order: (readonly OffsetRange[])[] = [];
        const query = counts(watermark, { closedBy }, flush);
        const drivers: QueryDriver[] = [];
        const brokerOf = (): MemoryBroker => {
          const [driver] = drivers;
          if (driver === undefined) throw new Error('the query runs on a driver');
          return driver.story.broker;
        };
        await using driver = new QueryDriver(recording(query, order, brokerOf));
        drivers.push(driver);
        driver.start();
        await driver.settle();
        await perform(driver, deeds);
        const wanted = await replayed(query, brokerOf(), order);
        const got = brokerOf()
          .readInOrder('output')
          .map(({ value }) => rowOf(value));
        expect(got).toMatchObject(wanted as object[]);
        expect(got).toHaveLength(wanted.length);
      });
      await fc.assert(holds, { numRuns: 120 });
    },
  );
});
