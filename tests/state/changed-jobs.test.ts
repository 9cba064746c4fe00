import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffLayouts, type LayoutDiff } from '../../jobs/state/diff-layouts.ts';
import { layoutOf } from '../../jobs/state/job-layout.ts';
import { planJobChange } from '../../jobs/state/plan-change.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { sluice } from '../embedded/sluice-process.ts';
import { arbitraryPayments } from './payments-arbitrary.ts';
import { files, StateUnderTest, type FileName } from './state-under-test.ts';

type Changes = Partial<Record<FileName, string>>;

/** Some text of a file for another. */
function changed(file: FileName, from: string, to: string): Changes {
  const text = files[file];
  if (!text.includes(from)) throw new RangeError(`${file} has no "${from}" to change`);
  return { [file]: text.replace(from, to) };
}

/** Changes that a job may go on after, and what becomes of its operators: `duplicates`, `card/0`, `terminal/0`, `card/1`, `terminal/1` by turns. */
const sound: readonly (readonly [what: string, changes: Changes, fates: string])[] = [
  [
    'a derived feature of nothing that is kept',
    changed('terminal.yaml', 'features:', 'features:\n  twice: { expr: terminal_cards_1h * 2 }'),
    '=====',
  ],
  ['a shorter window', changed('card.yaml', 'over: 30m', 'over: 20m'), '====='],
  ['a longer window within what is kept', changed('card.yaml', 'over: 10m', 'over: 40m'), '====='],
  ['a longer window', changed('card.yaml', 'over: 10m', 'over: 3h'), '=~==='],
  [
    'a longer window of what another operator keeps',
    changed('card.yaml', 'card_avg_1h: { avg: amount, over: 1h', 'card_avg_1h: { avg: amount, over: 2h'),
    '=~=~~',
  ],
  [
    'a further column',
    changed('terminal.yaml', 'features:', 'features:\n  terminal_sum_1h: { sum: amount, over: 1h }'),
    '==~==',
  ],
  [
    'no feature of the second level',
    changed('card.yaml', '  large_30m: { count: true, where: ratio > 2, over: 30m }\n', ''),
    '====',
  ],
  ['a longer delay', changed('job.yaml', 'delay: 10s', 'delay: 20m'), '~~~~~'],
  ['a shorter delay', changed('job.yaml', 'delay: 10s', 'delay: 1s'), '~~~~~'],
  ['a longer memory of duplicates', changed('job.yaml', 'within: 10m', 'within: 2h'), '~~~~~'],
  ['a memory of duplicates without an end', changed('job.yaml', 'within: 10m', 'within: forever'), '~~~~~'],
  ['no duplicates out', changed('job.yaml', '  duplicates: { by: id, within: 10m }\n', ''), '~~~~'],
  ['a lateness that is allowed', { 'job.yaml': `${files['job.yaml']}late: { allowedLateness: 30m }\n` }, '~~~~~'],
];

const marks = { kept: '=', rebuilt: '~', dropped: '', refused: '!' } as const;
const fatesOf = ({ operators }: LayoutDiff): string => operators.map(({ fate }) => marks[fate]).join('');

describe('a job that is changed', () => {
  it('keeps the state of some operators and has that of others rebuilt, as plan --diff says', async () => {
    await using test = await StateUnderTest.open(1);
    const old = layoutOf(await test.job());
    for (const [what, changes, fates] of sound) {
      expect([what, fatesOf(diffLayouts(old, layoutOf(await test.job(changes))))]).toEqual([what, fates]);
    }
  });

  it('answers as if it had been the changed job from the beginning', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryPayments(60),
        fc.integer({ min: 1, max: 59 }),
        fc.constantFrom(...sound),
        async (payments, cut, [, changes]) => {
          await using test = await StateUnderTest.open(1);
          await test.add(payments.slice(0, cut));
          await test.run(await test.job(), 9);
          const before = (await test.answers()).length;
          const next = await test.job(changes);
          await test.add(payments.slice(cut));
          await test.run(next);
          const answers = (await test.answers()).slice(before);

          await using twin = await StateUnderTest.open(1);
          await twin.add(payments);
          await twin.run(await twin.job(changes));
          const expected = await twin.answers();
          expect(answers).toEqual(expected.slice(expected.length - answers.length));
          if (payments.length > 0) {
            expect((await verifyState(next, test.storage, test.directory, 1)).drifts).toEqual([]);
          }
        },
      ),
      { numRuns: 60 },
    );
  });

  it.each([
    ['another function', changed('card.yaml', '{ avg: amount', '{ max: amount'), 'feature card_avg_1h'],
    ['another argument', changed('card.yaml', 'ratio > 2', 'ratio > 3'), 'feature large_30m'],
    [
      'another expression that state depends on',
      changed('card.yaml', 'expr: amount / card_avg_1h', 'expr: amount - card_avg_1h'),
      'feature ratio',
    ],
    [
      'another entity',
      { 'terminal.yaml': files['terminal.yaml'].replace('entity: terminal', 'entity: [terminal, card]') },
      'feature terminal_cards_1h',
    ],
    ['another topic', changed('job.yaml', 'topic: payments', 'topic: refunds'), 'source must stay topic payments'],
    ['another key', changed('job.yaml', 'key: card', 'key: terminal'), 'source.key must stay card'],
    [
      'another type of a field',
      changed('job.yaml', 'amount: double?', 'amount: long?'),
      'field amount must stay a double',
    ],
    ['another id', changed('job.yaml', 'by: id', 'by: card'), 'operator duplicates must stay keyed by id'],
  ])('is refused with %s under the same name, and its state is left alone', async (_what, changes, reason) => {
    await using test = await StateUnderTest.open(1);
    test.storage.ensureTopic('refunds', { partitionCount: 1 });
    const old = await test.job();
    await test.add([{ id: 'a', at: Date.UTC(2024, 0, 1), card: 'card-1', terminal: 'shop', amount: 3 }]);
    await test.run(old);
    const before = await test.rows(old);
    const next = await test.job(changes);
    const { outcome, refusals } = diffLayouts(layoutOf(old), layoutOf(next));
    expect(outcome).toBe('refused');
    expect(refusals.join('\n')).toContain(reason);
    await expect(test.run(next)).rejects.toMatchObject({ code: 'JOB_CHANGED' });
    await test.run(old);
    expect(await test.rows(old)).toEqual(before);
  });

  it('is refused where the log no longer reaches back, and can go on as it was', async () => {
    await using test = await StateUnderTest.open(1);
    test.storage.deleteTopic('payments');
    test.storage.createTopic('payments', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 1 } });
    const old = await test.job();
    for (const minute of [0, 1, 2]) {
      const at = Date.UTC(2024, 0, 1) + minute * 60_000;
      await test.add([{ id: `id ${minute}`, at, card: 'card-1', terminal: 'shop', amount: 3 }]);
    }
    await test.run(old);
    test.storage.applyRetention();
    const next = await test.job(changed('card.yaml', 'over: 10m', 'over: 3h'));
    const ranOn = { storage: test.storage, directory: test.directory };
    expect(await planJobChange(old, next, ranOn)).toMatchObject({ outcome: 'refused' });
    await expect(test.run(next)).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    await test.run(old);
    const kept = await test.job(changed('card.yaml', 'over: 30m', 'over: 20m'));
    await test.run(kept);
  });

  it('is explained by sluice plan --diff, with the offsets that a rebuild reads from', async () => {
    await using test = await StateUnderTest.open(1);
    const [old, next, other] = [
      await test.jobFile(),
      await test.jobFile(changed('card.yaml', 'over: 10m', 'over: 3h')),
      await test.jobFile(changed('card.yaml', '{ avg: amount', '{ max: amount')),
    ];
    await test.add([{ id: 'a', at: Date.UTC(2024, 0, 1), card: 'card-1', terminal: 'shop', amount: 3 }]);
    await test.run(await test.job());
    const text = await sluice('plan', '--diff', old, next, '--dir', test.directory);
    expect(text.stdout.split('\n')).toEqual([
      'job payments: rebuilt',
      '  = duplicates  kept',
      '  ~ card/0      rebuilt: keeps rows for 3h instead of 1h',
      '  = terminal/0  kept',
      '  = card/1      kept',
      '  = terminal/1  kept',
      '  · feature card_count_10m is over 3h instead of 10m',
      'The job goes on after a rebuild, which needs the input of the last 3h10m before the watermark in the log. The log has it:',
      '    from offset 0 of partition 0',
      '',
    ]);
    expect(text.code).toBe(0);
    const json = await sluice('plan', '--diff', old, other, '--format', 'json');
    expect(json.code).toBe(1);
    expect(JSON.parse(json.stdout)).toMatchObject({
      outcome: 'refused',
      refusals: [expect.stringContaining('card_avg_1h')],
    });
  });
});
