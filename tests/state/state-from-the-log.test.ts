import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { stateOfKey } from '../../jobs/state/state-view.ts';
import { openStoredState, storedJob, viewFromLog } from '../../jobs/state/stored-state.ts';
import { arbitraryPayments } from './payments-arbitrary.ts';
import { rowsOf, StateUnderTest, type Payment } from './state-under-test.ts';

const minuteMs = 60_000;
const payment = (number: number, card: string, terminal: string, amount: number): Payment => {
  return { id: `id ${number}`, at: Date.UTC(2024, 0, 1) + number * minuteMs, card, terminal, amount };
};
const few = [
  payment(0, 'card-1', 'shop', 10),
  payment(1, 'card-2', 'shop', 20),
  payment(2, 'card-1', 'kiosk', 30),
  payment(3, 'card-1', 'shop', 5),
];

describe('state as rows', () => {
  it('is what each operator remembers of a key, with columns and times', async () => {
    await using test = await StateUnderTest.open(2);
    const job = await test.job();
    await test.add(few);
    await test.run(job);
    const rows = await stateOfKey(openStoredState(job, test.storage), ['card-1'], 'card/0');
    expect(rows).toEqual(
      [0, 2, 3].map((minute, index) => ({
        operator: 'card/0',
        kind: 'rolling',
        key: { card: 'card-1' },
        event_time: `2024-01-01T00:0${minute}:00.000Z`,
        values: { amount: [10, 30, 5][index] },
      })),
    );
    const ids = await stateOfKey(openStoredState(job, test.storage), ['id 2'], 'duplicates');
    expect(ids).toMatchObject([{ key: { id: 'id 2' }, event_time: '2024-01-01T00:02:00.000Z' }]);
    const shop = await stateOfKey(openStoredState(job, test.storage), ['shop'], null);
    expect(shop.map(({ operator, values }) => [operator, values['card']])).toEqual([
      ['terminal/0', 'card-1'],
      ['terminal/0', 'card-2'],
      ['terminal/0', 'card-1'],
      ['terminal/1', undefined],
      ['terminal/1', undefined],
      ['terminal/1', undefined],
    ]);
  });

  it('names what is wrong with a question', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job();
    expect(() => openStoredState(job, test.storage)).toThrow(expect.objectContaining({ code: 'STATE_NONE' }));
    await test.add(few);
    await test.run(job);
    const view = openStoredState(job, test.storage);
    await expect(stateOfKey(view, ['card-1'], 'cart/0')).rejects.toMatchObject({ code: 'OPERATOR_UNKNOWN' });
    await expect(stateOfKey(view, ['card-1', 'shop'], null)).rejects.toMatchObject({ code: 'KEY_PARTS_WRONG' });
    const other = await test.job({ 'terminal.yaml': 'entity: terminal\nfeatures:\n  n: { count: true, over: 1h }\n' });
    expect(() => openStoredState(other, test.storage)).toThrow(expect.objectContaining({ code: 'JOB_CHANGED' }));
  });
});

describe('state as the log makes it', () => {
  it('is what is stored, in any order of partitions, over any restarts', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryPayments(60),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 1, max: 9 }),
        fc.array(fc.integer({ min: 1, max: 59 }), { maxLength: 3 }),
        async (payments, partitions, maxBatchRecords, cuts) => {
          await using test = await StateUnderTest.open(partitions);
          const job = await test.job();
          let from = 0;
          for (const to of [...cuts.toSorted((a, b) => a - b), payments.length]) {
            await test.add(payments.slice(from, to));
            from = Math.max(from, to);
            await test.run(job, maxBatchRecords);
          }
          if (payments.length === 0) return;
          const { drifts, keys } = await verifyState(job, test.storage, test.directory, 1);
          expect(drifts).toEqual([]);
          expect(keys).toBeGreaterThan(0);
          const before = await test.rows(job);
          await rebuildState(job, test.storage, test.directory);
          expect(await test.rows(job)).toEqual(before);
          expect((await verifyState(job, test.storage, test.directory, 1)).drifts).toEqual([]);
        },
      ),
      { numRuns: 15 },
    );
  });

  it('at a position is what a job remembered that had read so far', async () => {
    await fc.assert(
      fc.asyncProperty(arbitraryPayments(40), fc.integer({ min: 0, max: 40 }), async (payments, cut) => {
        const offset = Math.min(cut, payments.length);
        if (offset === 0) return;
        await using test = await StateUnderTest.open(1);
        const job = await test.job();
        await test.add(payments);
        await test.run(job, 7);
        const stored = storedJob(job, test.storage);
        const view = await viewFromLog(job, test.storage, test.directory, stored, { partition: 0, offset });
        await using twin = await StateUnderTest.open(1);
        const same = await twin.job();
        await twin.add(payments.slice(0, offset));
        await twin.run(same);
        expect(await rowsOf(view)).toEqual(await twin.rows(same));
      }),
      { numRuns: 15 },
    );
  });

  it('differs where one stored key was damaged, and is put right by a rebuild', async () => {
    await using test = await StateUnderTest.open(2);
    const job = await test.job();
    await test.add(few);
    await test.run(job);
    const before = await test.rows(job);
    // The last byte of the last amount.
    await test.damage(job, 'card/0', 'card-1', (value) => value.fill(0x41, -1));
    const { drifts } = await verifyState(job, test.storage, test.directory, 1);
    expect(drifts).toHaveLength(1);
    expect(drifts[0]).toMatchObject({ operator: 'card/0', key: ['card-1'] });
    expect(drifts[0]?.words).toContain('row 3 of 3');
    await test.damage(job, 'card/0', 'card-1', (value) => value.fill(9, 0, 1));
    const broken = await verifyState(job, test.storage, test.directory, 1);
    expect(broken.drifts.map(({ operator, key }) => [operator, ...key])).toEqual([['card/0', 'card-1']]);
    await rebuildState(job, test.storage, test.directory);
    expect(await test.rows(job)).toEqual(before);
    expect((await verifyState(job, test.storage, test.directory, 1)).drifts).toEqual([]);
  });

  it('takes the same keys into a sample each time, and about as many as were asked for', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job();
    const cards = Array.from({ length: 400 }, (_, index) => payment(index / 100, `card-${index}`, 'shop', 1));
    await test.add(cards.map((each, index) => ({ ...each, id: `id ${index}` })));
    await test.run(job);
    const [first, second] = [
      await verifyState(job, test.storage, test.directory, 0.1),
      await verifyState(job, test.storage, test.directory, 0.1),
    ];
    expect(second).toEqual(first);
    // 400 cards in two operators, 400 ids, a terminal in two operators.
    expect(first.keys).toBeGreaterThan(60);
    expect(first.keys).toBeLessThan(200);
  });

  it('cannot be had where the log does not reach back, and says so', async () => {
    await using test = await StateUnderTest.open(1);
    test.storage.deleteTopic('payments');
    test.storage.createTopic('payments', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 1 } });
    const job = await test.job();
    for (const each of few) await test.add([each]);
    await test.run(job);
    test.storage.applyRetention();
    await expect(verifyState(job, test.storage, test.directory, 1)).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    await expect(rebuildState(job, test.storage, test.directory)).rejects.toMatchObject({ code: 'LOG_TRUNCATED' });
    const stored = storedJob(job, test.storage);
    const beyond = viewFromLog(job, test.storage, test.directory, stored, { partition: 0, offset: 9 });
    await expect(beyond).rejects.toMatchObject({ code: 'POSITION_UNKNOWN' });
  });

  it('begins where nothing before it matters any more, though the log no longer reaches back to where the job began', async () => {
    await using test = await StateUnderTest.open(1);
    test.storage.deleteTopic('payments');
    test.storage.createTopic('payments', { partitionCount: 1, retention: { maxAgeMs: null, maxBytes: 4_000_000 } });
    const job = await test.job();
    // More ranges than one row of the order holds would be many batches; so many records do it, too.
    const hours = Array.from({ length: 30 }, (_, hour) => hour);
    for (const hour of hours) {
      const records = Array.from({ length: 3_000 }, (_, index) => {
        const each = payment(hour * 60 + index / 100, `card-${index % 7}`, 'shop', index % 13);
        return { ...each, id: `id ${hour} ${index}` };
      });
      await test.add(records);
      await test.run(job);
    }
    test.storage.applyRetention();
    const [range] = test.storage.ranges('payments');
    expect(range?.startOffset).toBeGreaterThan(0);
    const { order } = storedJob(job, test.storage);
    expect(order.length).toBeGreaterThan(1);
    const { drifts, replayedRecords } = await verifyState(job, test.storage, test.directory, 1);
    expect(drifts).toEqual([]);
    expect(replayedRecords).toBeLessThan(30_000);
  });
});
