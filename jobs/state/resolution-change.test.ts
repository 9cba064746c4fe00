import { describe, expect, it } from 'vitest';
import { jobOf, type Change } from '../testing/job-folder.ts';
import { diffLayouts } from './diff-layouts.ts';
import { layoutOf } from './job-layout.ts';

const card = 'features/card.yaml';
const resolution = (size: string): Change => [
  card,
  'avg_30d: { avg: amount, over: 30d',
  `avg_30d: { avg: amount, over: 30d, resolution: ${size}`,
];

describe('a job whose resolution changes', () => {
  it('has the state of the new panes made from the log, as for another window', async () => {
    const [exact, hourly, daily] = [await jobOf(), await jobOf(resolution('1h')), await jobOf(resolution('1d'))];
    const { outcome, operators, notes } = diffLayouts(layoutOf(exact), layoutOf(hourly));
    expect(outcome).toBe('rebuilt');
    expect(operators.map(({ operator, fate }) => [operator, fate])).toContainEqual(['card/0@1h', 'rebuilt']);
    expect(notes).toContain('feature avg_30d is over 30d, in panes of 1h instead of 30d');
    const coarser = diffLayouts(layoutOf(hourly), layoutOf(daily));
    expect(coarser.operators.map(({ operator, fate }) => [operator, fate])).toEqual(
      expect.arrayContaining([
        ['card/0', 'kept'],
        ['card/0@1d', 'rebuilt'],
        ['card/0@1h', 'dropped'],
      ]),
    );
    expect(diffLayouts(layoutOf(daily), layoutOf(exact)).refusals).toEqual([]);
    expect((await jobOf(resolution('exact'))).digest).toBe(exact.digest);
  });

  it('needs the input of a pane more than the window is long', async () => {
    const reachOf = (layout: ReturnType<typeof layoutOf>, id: string): number | null | undefined =>
      layout.operators.find((operator) => operator.id === id)?.reachMs;
    const hourly = layoutOf(await jobOf(resolution('1h')));
    const hourMs = 3_600_000;
    // 30 days, a minute of allowed lateness, an hour in which duplicates are known, and the rest of a pane.
    expect(reachOf(hourly, 'card/0@1h')).toBe(30 * 24 * hourMs + 60_000 + hourMs + hourMs);
  });
});
