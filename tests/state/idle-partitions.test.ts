import { describe, expect, it } from 'vitest';
import { readStoredJob } from '../../engine/storage/stored-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

// Windows of terminals, whose payments come from several partitions; a partition is idle soon, by the machine's clock.
const jobFile = `${files['job.yaml'].replace('[./card.yaml, ./terminal.yaml]', 'none').replace('delay: 10s', 'delay: 10s, idleTimeout: 200ms')}windows: { key: terminal, tumbling: 1m, aggregates: { n: { count: true } } }
`;
const start = Date.UTC(2026, 2, 1);
/** These are in different partitions of two. */
const [oneCard, otherCard] = ['card-1', 'card-2'];

function payment(id: number, card: string, second: number): Payment {
  return { id: `p${id}`, at: start + second * 1_000, card, terminal: 't', amount: 1 };
}

describe('partitions that were found idle by the machine’s clock', () => {
  it.each(['0s', '1h'])('leave state that the log and the record tell, with flushes every %s', async (flushEvery) => {
    await using test = await StateUnderTest.open(2);
    const job = await test.job({ 'job.yaml': jobFile.replace('flushEvery: 0s', `flushEvery: ${flushEvery}`) });
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { storage, directory } = test;
    await test.add([payment(1, oneCard, 0), payment(2, otherCard, 1)]);
    expect(storage.ranges('payments').map(({ endOffset }) => endOffset)).toEqual([1, 1]);
    const stop = new AbortController();
    {
      await using run = await openLocalRun(job, { storage, directory, modelsDirectory: '', logger });
      const ended = run.run('realtime', stop.signal);
      // Only one of them goes on: the window is held open until the other one is idle.
      for (let more = 1, closed = false; !closed; more++) {
        await test.add([payment(2 + more, oneCard, 100 + more / 1_000)]);
        await expect.poll(() => run.query.totals.ledger.read, { timeout: 60_000 }).toBe(2 + more);
        closed = (await test.answers()).length > 0;
      }
      await test.add([payment(100_000, otherCard, 101)]);
      await expect.poll(() => run.query.totals.idlePartitions, { timeout: 60_000 }).toBe(2);
      stop.abort();
      await ended;
    }
    const [answer] = (await test.answers()).map((text) => JSON.parse(text) as { readonly n: number });
    expect(answer).toMatchObject({ n: 2 });
    const stored = readStoredJob(storage, job.name);
    const found =
      stored?.order.flatMap(({ ranges }) => ranges).filter(({ idleForMs }) => idleForMs !== undefined) ?? [];
    expect(found.length).toBeGreaterThanOrEqual(3);
    expect((await verifyState(job, storage, directory, 1)).drifts).toEqual([]);
    const before = await test.rows(job);
    await rebuildState(job, storage, directory);
    expect(await test.rows(job)).toEqual(before);
    // The next run goes on from it.
    await test.run(job);
    expect(await test.answers()).toHaveLength(1);
  });
});
