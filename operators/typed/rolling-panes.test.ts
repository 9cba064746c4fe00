import { describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../../engine/storage/testing/temporary-directory.ts';
import { avg, collect, count, distinct, keyBy, LocalLog, rolling, topic, withWatermark } from './index.ts';

const payments = topic('payments', { card: 'string', at: 'timestamp', amount: 'double' }, { key: 'card' }).pipe(
  withWatermark('at', '10s'),
  keyBy('card'),
);

describe('rolling features in panes, in TypeScript', () => {
  it('begin at the start of a pane, beside exact ones', async () => {
    const stream = payments.pipe(
      rolling({ n: count().over('90s') }),
      rolling(
        { n_panes: count().over('90s'), avg_panes: avg('amount').over('90s') },
        { id: 'panes', resolution: '1m' },
      ),
    );
    const seconds = [0, 1, 61, 119, 150];
    const answers = await collect(
      stream,
      seconds.map((second, index) => ({ card: 'a', at: second * 1_000, amount: index })),
    );
    // The window of the last is (60 s, 150 s], and begins at the start of a pane; that of the one before is (29 s, 119 s], and (0 s, 119 s] in panes.
    expect(answers.map(({ n, n_panes, avg_panes }) => [n, n_panes, avg_panes])).toEqual([
      [0, 0, null],
      [1, 1, 0],
      [2, 2, 0.5],
      [1, 2, 1.5],
      [2, 2, 2.5],
    ]);
  });

  it('are those of hot keys alone, where features are compacted', async () => {
    const features = { n: count().over('90s'), mean: avg('amount').over('90s') };
    const exact = payments.pipe(rolling(features));
    const compacted = payments.pipe(rolling(features, { compact: { above: 4, to: '1m' } }));
    const rowsOf = (card: string, seconds: readonly number[]): { card: string; at: number; amount: number }[] =>
      seconds.map((second, index) => ({ card, at: second * 1_000, amount: index }));
    // One of every second in two minutes and a half, and one in a minute.
    const hot = rowsOf('hot', [...Array(150).keys()]);
    const quiet = rowsOf('quiet', [0, 61, 119, 150]);
    expect(await collect(compacted, quiet)).toEqual(await collect(exact, quiet));
    const [wide, narrow] = [(await collect(compacted, hot)).at(-1), (await collect(exact, hot)).at(-1)];
    // (59 s, 149 s] begins at (0 s, 60 s], and so with the record of 1 s.
    expect([narrow?.n, wide?.n]).toEqual([89, 148]);
    using directory = temporaryDirectory();
    await using log = await LocalLog.open(directory.path);
    await log.append(compacted, [...hot, ...quiet]);
    const { compacted: told } = await log.run(compacted, { job: 'hot-cards', to: 'answers' });
    expect(told).toBeGreaterThan(80);
  });

  it('are refused where panes cannot answer', () => {
    expect(() => payments.pipe(rolling({ cards: distinct('card').over('1d') }, { resolution: '1h' }))).toThrow(
      /feature cards .* "distinct" needs each value/,
    );
    expect(() => payments.pipe(rolling({ n: count().over('30m') }, { resolution: '1h' }))).toThrow(
      expect.objectContaining({ code: 'RESOLUTION_INVALID' }),
    );
    expect(() =>
      payments.pipe(rolling({ cards: distinct('card').over('1d') }, { compact: { above: 9, to: '1h' } })),
    ).toThrow(/"distinct" needs each value/);
    const n = count().over('30m');
    expect(() => rolling({ n }, { compact: { above: 0, to: '1m' } })).toThrow(/got above: 0/);
    expect(() => rolling({ n }, { compact: { above: 9, to: '1m' }, resolution: '1m' })).toThrow(
      expect.objectContaining({ code: 'RESOLUTION_INVALID' }),
    );
    expect(() => rolling({ n: count().over('30m') }, { resolution: 'an hour' })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    );
  });
});
