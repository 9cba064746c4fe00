import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { diffLayouts, type LayoutDiff } from '../../jobs/state/diff-layouts.ts';
import { layoutOf } from '../../jobs/state/job-layout.ts';
import { restoreLocal, saveLocal } from '../../jobs/state/local-savepoint.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { arbitraryPayments } from './payments-arbitrary.ts';
import { files, StateUnderTest, type FileName } from './state-under-test.ts';

type Changes = Partial<Record<FileName, string>>;

/** The job with amendments that are written so. */
const amended = (amendments = 'tolerance: 5%, within: 30m', job: string = files['job.yaml']): Changes => ({
  'job.yaml': `${job}amendments: { topic: corrections, ${amendments} }\n`,
});

/** Amendments without the times at which two logs took the same records. */
async function corrections(test: StateUnderTest): Promise<readonly string[]> {
  return (await test.answers('corrections')).map((line) =>
    line
      .replace(/"decision_time":"[^"]*"/, '"decision_time":""')
      .replace(/"arrival_time":"[^"]*"/, '"arrival_time":""'),
  );
}

describe('the state of amendments', () => {
  it('is told by plan --diff: new, kept with another tolerance, made anew for longer', async () => {
    await using test = await StateUnderTest.open(1);
    const fateOf = ({ operators }: LayoutDiff): readonly string[] =>
      operators.flatMap(({ operator, fate, words }) => (operator === 'amendments' ? [`${fate}: ${words}`] : []));
    const none = layoutOf(await test.job());
    const some = layoutOf(await test.job(amended()));
    const layoutWith = async (changes: Changes): Promise<typeof some> => layoutOf(await test.job(changes));
    expect(diffLayouts(none, some).outcome).toBe('rebuilt');
    expect(fateOf(diffLayouts(none, some))).toEqual(['rebuilt: is new']);
    expect(fateOf(diffLayouts(some, none))).toEqual(['dropped: is in the job no more']);
    const stricter = diffLayouts(some, await layoutWith(amended('tolerance: { ratio: 1% }, within: 30m')));
    expect([stricter.outcome, fateOf(stricter)]).toEqual(['kept', ['kept: keeps its state']]);
    const longer = diffLayouts(some, await layoutWith(amended('tolerance: 5%, within: 3h')));
    expect(fateOf(longer)).toEqual(['rebuilt: keeps rows for 5h instead of 2h30m']);
    const shorter = diffLayouts(some, await layoutWith(amended('tolerance: 5%, within: 10m')));
    expect(fateOf(shorter)).toEqual(['kept: keeps its state']);
    const further = files['card.yaml'].replace('features:', 'features:\n  card_max_1h: { max: amount, over: 1h }');
    expect(fateOf(diffLayouts(some, await layoutWith({ ...amended(), 'card.yaml': further })))).toEqual([
      'rebuilt: keeps other columns, or columns of other values',
    ]);
  });

  it('is, for a job that gains amendments, as if it had always had them; and so is what it tells from then on', async () => {
    let told = 0;
    const holds = fc.asyncProperty(
      arbitraryPayments(60),
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(amended(), amended('tolerance: 0, within: 1d')),
      async (payments, cut, changes) => {
        await using test = await StateUnderTest.open(1);
        await test.add(payments.slice(0, cut));
        await test.run(await test.job(), 9);
        const next = await test.job(changes);
        await test.add(payments.slice(cut));
        await test.run(next);
        await using twin = await StateUnderTest.open(1);
        await twin.add(payments);
        await twin.run(await twin.job(changes));
        const found = await corrections(test);
        const expected = await corrections(twin);
        told += found.length;
        expect(found).toEqual(expected.slice(expected.length - found.length));
        const later = expected.filter((line) => {
          const { cause } = JSON.parse(line) as { readonly cause: { readonly source_offset: number } };
          return cause.source_offset >= Math.min(cut, payments.length);
        });
        expect(found).toHaveLength(later.length);
        if (payments.length > 0) {
          expect((await verifyState(next, test.storage, test.directory, 1)).drifts).toEqual([]);
        }
      },
    );
    await fc.assert(holds, { numRuns: 60 });
    expect(told).toBeGreaterThan(0);
  });

  it('is moved by a savepoint: what is told elsewhere is what would have been told here', async () => {
    const holds = fc.asyncProperty(
      arbitraryPayments(50).filter(({ length }) => length > 1),
      fc.integer({ min: 1, max: 49 }),
      async (stream, at) => {
        const cut = Math.min(at, stream.length - 1);
        await using twin = await StateUnderTest.open(2);
        const job = await twin.job(amended('tolerance: 1%, within: 2h'));
        await twin.add(stream.slice(0, cut));
        await twin.run(job, 7);
        const before = new Set(await corrections(twin));
        const path = join(twin.folder, 'kept', 'here.savepoint');
        await saveLocal(job, twin, { path, name: 'here' });
        await twin.add(stream.slice(cut));
        await twin.run(job);
        await using moved = await StateUnderTest.open(2);
        await moved.add(stream.slice(0, cut));
        await restoreLocal(job, moved, path, 'refuse');
        await moved.add(stream.slice(cut));
        await moved.run(job);
        const since = (await corrections(twin)).filter((line) => !before.has(line));
        expect((await corrections(moved)).toSorted()).toEqual(since.toSorted());
        expect(await moved.rows(job)).toEqual(await twin.rows(job));
      },
    );
    await fc.assert(holds, { numRuns: 20 });
  });
});
