import { describe, expect, it } from 'vitest';
import { diffOnCluster, diffStages } from '../../jobs/state/diff-stages.ts';
import { diffLayouts } from '../../jobs/state/diff-layouts.ts';
import { layoutOf } from '../../jobs/state/job-layout.ts';
import { planClusterChange } from '../../jobs/state/plan-change.ts';
import { files, StateUnderTest, type FileName } from './state-under-test.ts';

type Changes = Partial<Record<FileName, string>>;

/** Some text of a file for another. */
function changed(file: FileName, from: string, to: string): Changes {
  const text = files[file];
  if (!text.includes(from)) throw new RangeError(`${file} has no "${from}" to change`);
  return { [file]: text.replace(from, to) };
}

const withLateness: Changes = { 'job.yaml': `${files['job.yaml']}late: { allowedLateness: 30m }\n` };
const ratio = '  terminal_ratio_1h: { max: ratio, over: 1h }\n';
const withoutRatio = changed('terminal.yaml', ratio, '');

describe('a job of several stages that is changed on a cluster', () => {
  it.each<readonly [what: string, before: Changes, after: Changes, fates: string]>([
    ['a shorter window', {}, changed('card.yaml', 'over: 30m', 'over: 20m'), 'serve, serve'],
    ['a longer window that no later stage reads', {}, changed('card.yaml', 'over: 10m', 'over: 3h'), 'rebuild, serve'],
    [
      'a further feature of the last stage',
      {},
      changed('terminal.yaml', 'features:', 'features:\n  terminal_sum_1h: { sum: amount, over: 1h }'),
      'serve, rebuild',
    ],
    [
      'a feature of the last stage that reads one of the first',
      withoutRatio,
      { 'terminal.yaml': files['terminal.yaml'] },
      'serve, rebuild',
    ],
    ['a lateness that is allowed', withoutRatio, { ...withoutRatio, ...withLateness }, 'rebuild, rebuild'],
    ['fewer features of the last stage', {}, withoutRatio, 'serve, serve'],
  ])('goes on with the stages that it would have: %s', async (_what, before, after, fates) => {
    await using test = await StateUnderTest.open(1);
    const [old, next] = [layoutOf(await test.job(before)), layoutOf(await test.job(after))];
    const diff = diffStages(old, next, diffLayouts(old, next));
    expect(diff.refusals).toEqual([]);
    expect(diff.fates.join(', ')).toBe(fates);
  });

  it.each<readonly [what: string, before: Changes, after: Changes, says: RegExp]>([
    [
      'a further feature of a stage that others follow',
      {},
      changed('card.yaml', 'features:', 'features:\n  card_sum_1h: { sum: amount, over: 1h }'),
      /exchange before the stage terminal must carry the same columns.*does not hold card_sum_1h/,
    ],
    [
      'a feature that later state is computed from',
      {},
      changed('card.yaml', 'card_avg_1h: { avg: amount, over: 1h', 'card_avg_1h: { avg: amount, over: 2h'),
      /card_avg_1h must stay what it was, as state of the stage terminal is computed from it/,
    ],
    ['a lateness, where later state reads features', {}, withLateness, /card_avg_1h must stay what it was/],
    ['another delay', {}, changed('job.yaml', 'delay: 10s', 'delay: 20m'), /source.eventTime.delay must stay 10000 ms/],
    ['other duplicates', {}, changed('job.yaml', 'within: 10m', 'within: 2h'), /source.duplicates must stay/],
    [
      'another number of stages',
      {},
      { 'terminal.yaml': 'entity: card\nfeatures:\n  other: { count: true, over: 1h }\n' },
      /must stay split into by card and terminal.*got one stage/,
    ],
    [
      'fields in another order',
      {},
      changed('job.yaml', 'id: string, at: timestamp, card: string', 'card: string, id: string, at: timestamp'),
      /holds them in another order/,
    ],
  ])('is refused, with the reason: %s', async (_what, before, after, says) => {
    await using test = await StateUnderTest.open(1);
    const [old, next] = [await test.job(before), await test.job(after)];
    const [from, to] = [layoutOf(old), layoutOf(next)];
    expect(diffStages(from, to, diffLayouts(from, to)).refusals.join('; ')).toMatch(says);
  });

  it('is told so by plan --diff, for each profile by itself', async () => {
    await using test = await StateUnderTest.open(1);
    const old = await test.job();
    const slower = await test.job(changed('job.yaml', 'delay: 10s', 'delay: 20m'));
    expect(planClusterChange(old, slower)).toMatchObject({ outcome: 'refused', refusals: [/source.eventTime.delay/] });
    const longer = await test.job(changed('card.yaml', 'over: 10m', 'over: 3h'));
    const { outcome, operators } = planClusterChange(old, longer);
    expect([outcome, ...operators.map(({ operator, fate }) => `${operator} ${fate}`)]).toEqual([
      'rebuilt',
      'duplicates rebuilt',
      'card/0 rebuilt',
      'terminal/0 kept',
      'card/1 rebuilt',
      'terminal/1 kept',
    ]);
    expect(diffOnCluster(layoutOf(old), layoutOf(old))).toMatchObject({ outcome: 'same', refusals: [] });
  });

  it('is refused where a former Sluice has left no word of its stages', async () => {
    await using test = await StateUnderTest.open(1);
    const { stages: _unknown, ...old } = layoutOf(await test.job());
    const next = layoutOf(await test.job(changed('card.yaml', 'over: 30m', 'over: 20m')));
    expect(diffOnCluster(old, next)).toMatchObject({ outcome: 'refused' });
  });
});
