import { describe, expect, it } from 'vitest';
import { avg, collect, count, distinct, keyBy, rolling, topic, withWatermark } from './index.ts';

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

  it('are refused where panes cannot answer', () => {
    expect(() => payments.pipe(rolling({ cards: distinct('card').over('1d') }, { resolution: '1h' }))).toThrow(
      /feature cards .* "distinct" needs each value/,
    );
    expect(() => payments.pipe(rolling({ n: count().over('30m') }, { resolution: '1h' }))).toThrow(
      expect.objectContaining({ code: 'RESOLUTION_INVALID' }),
    );
    expect(() => rolling({ n: count().over('30m') }, { resolution: 'an hour' })).toThrow(
      expect.objectContaining({ code: 'DURATION_INVALID' }),
    );
  });
});
