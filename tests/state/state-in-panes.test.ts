import { describe, expect, it } from 'vitest';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { stateOfKey } from '../../jobs/state/state-view.ts';
import { openStoredState } from '../../jobs/state/stored-state.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

const inPanes = {
  'card.yaml': `entity: card
resolution: 10m
features:
  card_avg_1h: { avg: amount, over: 1h }
  card_count_10m: { count: true, over: 10m, current: include }
  ratio: { expr: amount / card_avg_1h }
  large_30m: { count: true, where: ratio > 2, over: 30m, resolution: exact }
`,
  'terminal.yaml': `entity: terminal
compact: { above: 20, to: 5m }
features:
  terminal_cards_1h: { distinct: card, over: 1h, resolution: exact }
  terminal_ratio_1h: { max: ratio, over: 1h }
  terminal_sum_1h: { sum: amount, over: 1h }
`,
};

/** Two hours, mostly in order, of few cards; one terminal is hot. */
function payments(from: number, to: number): readonly Payment[] {
  return Array.from({ length: to - from }, (_, index): Payment => {
    const n = from + index;
    const backMs = n % 17 === 0 ? 8_000 : n % 41 === 0 ? 1_500_000 : 0;
    return {
      id: `id ${n}`,
      at: Date.UTC(2024, 0, 1) + n * 12_000 - backMs,
      card: `card-${(n * 7) % 5}`,
      terminal: n % 3 === 0 ? `quiet-${n % 50}` : 'hot',
      amount: n % 11 === 0 ? null : ((n * 104_729) % 10_000) / 100,
    };
  });
}

describe('state in panes', () => {
  it.each([1, 2])(
    'is what the log says, over %i partitions, after any batches and restarts; with one, answers are those of one run',
    async (partitions) => {
      await using test = await StateUnderTest.open(partitions);
      const job = await test.job(inPanes);
      for (const [from, to, batch] of [
        [0, 170, 7],
        [170, 400, 50],
        [400, 600, 3],
      ] as const) {
        await test.add(payments(from, to));
        await test.run(job, batch);
      }
      expect(await verifyState(job, test.storage, test.directory, 1)).toMatchObject({ drifts: [] });
      const [pane] = await stateOfKey(openStoredState(job, test.storage), ['card-1'], 'card/0@10m');
      expect(Object.keys(pane?.values ?? {})).toEqual(['count of records', 'count of amount', 'sum of amount']);
      expect(Date.parse(pane?.event_time ?? '') % 600_000).toBe(0);
      // How partitions interleave is the run's own affair.
      if (partitions > 1) return;
      await using whole = await StateUnderTest.open(1);
      await whole.add(payments(0, 600));
      await whole.run(await whole.job(inPanes));
      expect(await test.answers()).toEqual(await whole.answers());
    },
  );

  it('counts the records that were answered from panes of a compacted key', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job(inPanes);
    await test.add(payments(0, 600));
    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined };
    const { storage, directory } = test;
    await using run = await openLocalRun(job, { storage, directory, modelsDirectory: '', logger });
    await run.run('availableNow', new AbortController().signal);
    const { compacted, ledger } = run.query.totals;
    // Two thirds are at the hot terminal, which has its first 21 records in six minutes and is compacted from the first pane on.
    expect(compacted).toBeGreaterThan(300);
    expect(compacted).toBeLessThan(400);
    expect(ledger.read).toBe(600);
  });

  it('is made from the log when the resolution changes, and goes on as if it had been so from the beginning', async () => {
    const changes = { 'card.yaml': files['card.yaml'].replace('features:', 'resolution: 10m\nfeatures:') };
    await using changed = await StateUnderTest.open(1);
    await changed.add(payments(0, 300));
    await changed.run(await changed.job());
    await changed.add(payments(300, 600));
    await changed.run(await changed.job(changes));

    await using always = await StateUnderTest.open(1);
    await always.add(payments(0, 600));
    await always.run(await always.job(changes));
    expect((await changed.answers()).slice(300)).toEqual((await always.answers()).slice(300));
  });
});
