import { concatMap } from 'rxjs';
import { describe, expect, it } from 'vitest';
import { cardTotals } from '../../tests/kit/card-totals.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import { forEveryCrashPoint } from './for-every-crash-point.ts';
import type { QueryUnderTest } from './query-under-test.ts';

const rows = Array.from({ length: 9 }, (_, index) =>
  index === 4
    ? 'not JSON'
    : { id: `p${index % 7}`, card: `c${index % 3}`, at: 1_000_000 + index * 500, amount: index + 0.1 },
);

describe('crashes at every point', () => {
  it('change nothing of a sound query, singly', async () => {
    const seen = new Set<string>();
    const { points, runs } = await forEveryCrashPoint(cardTotals(), rows, {
      check: ({ crashes, rows: rowsOf }) => {
        for (const { step } of crashes) seen.add(step);
        expect(rowsOf().map(({ id }) => id)).toEqual(['p0', 'p1', 'p2', 'p3', 'p5', 'p6']);
        expect(rowsOf('dead-letters')).toHaveLength(1);
      },
    });
    expect(runs).toBe(points + 1);
    const steps = [
      'acquire',
      'read ends',
      'seek',
      'poll',
      'score',
      'begin',
      'produce',
      'send offsets',
      'commit',
      'write state',
    ];
    for (const step of steps) expect([...seen]).toContain(step);
  });

  it('change nothing in pairs, with several partitions and state that is written seldom', async () => {
    const few = rows.slice(0, 2);
    const options = { crashes: 'in pairs', bounds: { maxBatchRecords: 3, flushEveryMs: 1e9 } } as const;
    const { points, runs } = await forEveryCrashPoint(cardTotals({ partitions: 2 }), few, options);
    expect(runs).toBeGreaterThan(points * 10);
  });

  it('find a query that remembers what its process only had in memory', async () => {
    const seen: string[] = [];
    const forgetful = withStep((batch) => {
      for (let row = 0; row < batch.rowCount; row++) seen.push(`${batch.offsets[row]}`);
      return {
        ...batch,
        flags: batch.flags.map((flags, row) =>
          seen.indexOf(`${batch.offsets[row]}`) < seen.length - batch.rowCount + row ? 2 : flags,
        ),
      };
    });
    await expect(forEveryCrashPoint(forgetful, rows)).rejects.toThrow(/with a crash (before|after) .*: topic output/s);
  });

  it('find a query that loses state for which no later record of the input asks', async () => {
    const query = cardTotals();
    const careless: QueryUnderTest = {
      ...query,
      open: (parts) => {
        const { commitLog } = parts;
        let isSecondLife = false;
        const acquire: typeof commitLog.acquire = async () => {
          const acquired = await commitLog.acquire();
          isSecondLife = acquired.metadata !== null;
          return acquired;
        };
        const commit: typeof commitLog.commit = (batch) =>
          commitLog.commit(isSecondLife && batch.state !== null ? { ...batch, state: { writes: [] } } : batch);
        return query.open({ ...parts, commitLog: { ...commitLog, acquire, commit } });
      },
    };
    const few = rows.slice(0, 3);
    await expect(forEveryCrashPoint(careless, few)).rejects.toThrow('the state is not what it is without the crash');
  });

  it('find a query that dies for good of something that it has already done', async () => {
    let opened = 0;
    const query = cardTotals();
    const oneLife: QueryUnderTest = {
      ...query,
      open: (parts) => {
        if (++opened > 3) throw new Error('the file is there already');
        return query.open(parts);
      },
    };
    await expect(forEveryCrashPoint(oneLife, rows)).rejects.toThrow('the file is there already');
  });
});

/** The query with a step more, whose operator is not what an operator must be. */
function withStep(work: (batch: RecordBatch) => RecordBatch): QueryUnderTest {
  const query = cardTotals();
  return {
    ...query,
    open: (parts) => {
      const definition = query.open(parts);
      return {
        ...definition,
        openSection: (start, state) => {
          const section = definition.openSection(start, state);
          const operator = concatMap((batch: RecordBatch) => [work(batch)]);
          return { ...section, steps: [...section.steps, { operator, fate: 'keeps' }] };
        },
      };
    },
  };
}
