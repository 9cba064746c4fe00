import { existsSync } from 'node:fs';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { StateSwap } from '../../engine/storage/state-swap.ts';
import { systemClock } from '../../engine/time/clock.ts';
import { restoreLocal, saveLocal } from '../../jobs/state/local-savepoint.ts';
import { rebuildState } from '../../jobs/state/rebuild-state.ts';
import { openStoredState } from '../../jobs/state/stored-state.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { sluice, SluiceProcess } from '../embedded/sluice-process.ts';
import { arbitraryPayments } from './payments-arbitrary.ts';
import { files, StateUnderTest, type Payment } from './state-under-test.ts';

const payments = (count: number): readonly Payment[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `id ${index}`,
    at: Date.UTC(2024, 0, 1) + index * 1_000,
    card: `card-${index % 50}`,
    terminal: `terminal-${index % 20}`,
    amount: (index * 7) % 40,
  }));

describe('a savepoint on the embedded profile', () => {
  it('takes a job up elsewhere, and its answers and state are those of one that was never moved', async () => {
    await fc.assert(
      fc.asyncProperty(
        arbitraryPayments(50).filter(({ length }) => length > 1),
        fc.integer({ min: 1, max: 49 }),
        fc.integer({ min: 1, max: 3 }),
        async (stream, at, partitions) => {
          const cut = Math.min(at, stream.length - 1);
          await using twin = await StateUnderTest.open(partitions);
          const job = await twin.job();
          await twin.add(stream.slice(0, cut));
          await twin.run(job, 7);
          const before = (await twin.answers()).length;
          const path = join(twin.folder, 'kept', 'here.savepoint');
          await saveLocal(job, twin, { path, name: 'here' });
          await twin.add(stream.slice(cut));
          await twin.run(job);

          await using moved = await StateUnderTest.open(partitions);
          await moved.add(stream.slice(0, cut));
          await restoreLocal(job, moved, path, 'refuse');
          await moved.add(stream.slice(cut));
          await moved.run(job);
          expect(await moved.answers()).toEqual((await twin.answers()).slice(before));
          expect(await moved.rows(job)).toEqual(await twin.rows(job));
          expect((await verifyState(job, moved.storage, moved.directory, 1)).drifts).toEqual([]);
          await rebuildState(job, moved.storage, moved.directory);
          expect(await moved.rows(job)).toEqual(await twin.rows(job));
        },
      ),
      { numRuns: 20 },
    );
  });

  it('is refused where a byte of it was altered or its end is cut off, and nothing is touched', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job();
    await test.add(payments(100));
    await test.run(job);
    const path = join(test.folder, 'a.savepoint');
    await saveLocal(job, test, { path, name: 'a' });
    const rows = await test.rows(job);
    const whole = await readFile(path);
    await truncate(path, Math.floor(whole.length / 2));
    await expect(restoreLocal(job, test, path, 'replace')).rejects.toMatchObject({ code: 'SAVEPOINT_DAMAGED' });
    for (const at of [0, 9, 20, 200, Math.floor(whole.length / 2), whole.length - 40, whole.length - 1]) {
      const altered = Buffer.from(whole);
      altered[at] = (altered[at] ?? 0) ^ 1;
      await writeFile(path, altered);
      const refused = restoreLocal(job, test, path, 'replace');
      await expect(refused).rejects.toMatchObject({ code: at === 9 ? 'SAVEPOINT_VERSION' : 'SAVEPOINT_DAMAGED' });
    }
    for (let end = 0; end < whole.length; end += 997) {
      await writeFile(path, whole.subarray(0, end));
      await expect(restoreLocal(job, test, path, 'replace')).rejects.toMatchObject({ code: 'SAVEPOINT_DAMAGED' });
    }
    expect(await test.rows(job)).toEqual(rows);
    await writeFile(path, whole);
    await restoreLocal(job, test, path, 'replace');
    expect(await test.rows(job)).toEqual(rows);
  });

  it('is refused over state that is there, of another job, of other state, and where the input is another', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job();
    await test.add(payments(10));
    await test.run(job);
    const path = join(test.folder, 'a.savepoint');
    await saveLocal(job, test, { path, name: 'a' });
    await expect(restoreLocal(job, test, path, 'refuse')).rejects.toMatchObject({ code: 'STATE_EXISTS' });
    const renamed = await test.job({ 'job.yaml': files['job.yaml'].replace('job: payments', 'job: others') });
    await expect(restoreLocal(renamed, test, path, 'refuse')).rejects.toMatchObject({
      code: 'SAVEPOINT_OF_ANOTHER_JOB',
    });
    const longer = await test.job({ 'card.yaml': files['card.yaml'].replace('over: 30m', 'over: 3h') });
    await expect(restoreLocal(longer, test, path, 'replace')).rejects.toMatchObject({
      code: 'SAVEPOINT_OF_ANOTHER_JOB',
    });
    await using empty = await StateUnderTest.open(1);
    await expect(restoreLocal(job, empty, path, 'refuse')).rejects.toMatchObject({ code: 'SAVEPOINT_POSITIONS' });
    const missing = restoreLocal(job, empty, join(test.folder, 'b.savepoint'), 'refuse');
    await expect(missing).rejects.toMatchObject({ code: 'SAVEPOINT_MISSING' });
    await expect(saveLocal(job, empty, { path, name: 'b' })).rejects.toMatchObject({ code: 'STATE_NONE' });
  });

  it('is not made where some state would be left out', async () => {
    await using test = await StateUnderTest.open(1);
    const job = await test.job();
    await test.add(payments(10));
    await test.run(job);
    const { stored } = openStoredState(job, test.storage);
    const claim = await test.storage.claims.take('job payments');
    const swap = StateSwap.begin(test.storage, 'payments', claim);
    swap.put([{ operatorId: 'nobody', key: Buffer.from('a'), value: Buffer.from('b') }]);
    swap.activate({ row: stored.row, replaces: 'staged', order: 'stays' });
    test.storage.claims.release(claim);
    const path = join(test.folder, 'a.savepoint');
    await expect(saveLocal(job, test, { path, name: 'a' })).rejects.toMatchObject({ code: 'SAVEPOINT_OPERATORS' });
    expect(existsSync(path)).toBe(false);
  });

  it('is made and restored by the command; a restore that is killed leaves the old state or the new one', async () => {
    await using test = await StateUnderTest.open(1);
    const path = await test.jobFile();
    const job = await test.job();
    await test.add(payments(3_000));
    await test.run(job);
    const folder = `${test.folder}/`;
    const made = await sluice('savepoint', 'create', path, '--to', folder, '--name', 'noon', '--dir', test.directory);
    expect(made.stderr).toBe('');
    const file = join(test.folder, 'payments-noon.savepoint');
    // 50 cards and 20 terminals in two operators each, and 3,000 ids in chunks of 256.
    expect(JSON.parse(made.stdout)).toMatchObject({ path: file, name: 'noon', tasks: 1 });
    const saved = await test.rows(job);
    await test.add(payments(4_000).slice(3_000));
    await test.run(job);
    const later = await test.rows(job);
    const from = ['--from', file, '--dir', test.directory];
    expect((await sluice('savepoint', 'restore', path, ...from)).stderr).toContain('STATE_EXISTS');
    let outcome = '';
    for (const afterMs of [1_000, 1_300, 1_500, 60_000]) {
      const restore = new SluiceProcess('savepoint', 'restore', path, '--replace', ...from);
      await Promise.race([systemClock.sleep(afterMs), restore.ended]);
      await restore.kill();
      const rows = JSON.stringify(await test.rows(job));
      outcome = rows === JSON.stringify(saved) ? 'new' : rows === JSON.stringify(later) ? 'old' : 'a mixture';
      expect(['old', 'new']).toContain(outcome);
      if (outcome === 'new') break;
    }
    expect(outcome).toBe('new');
    await test.run(job);
    expect(await test.rows(job)).toEqual(later);
  });
});
