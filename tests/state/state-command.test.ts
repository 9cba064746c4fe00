import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../engine/time/clock.ts';
import { verifyState } from '../../jobs/state/verify-state.ts';
import { sluice, SluiceProcess } from '../embedded/sluice-process.ts';
import { StateUnderTest, type Payment } from './state-under-test.ts';

const payments = (count: number): readonly Payment[] =>
  Array.from({ length: count }, (_, index) => ({
    id: `id ${index}`,
    at: Date.UTC(2024, 0, 1) + index * 100,
    card: `card-${index % 50}`,
    terminal: `terminal-${index % 20}`,
    amount: (index * 7) % 40,
  }));

describe('sluice state', () => {
  it('shows what is remembered of a key, as rows and by SQL, now and at a position; verifies it, and rebuilds it', async () => {
    await using test = await StateUnderTest.open(1);
    const path = await test.jobFile();
    const job = await test.job();
    await test.add(payments(500));
    await test.run(job);
    const at = ['--dir', test.directory];

    const ofCards = ['--operator', 'card/0', '--format', 'jsonl', ...at];
    const [got, before, scanned, verified] = await Promise.all([
      sluice('state', 'get', path, 'card-3', ...ofCards),
      sluice('state', 'at', path, '104', '--key', 'card-3', '--operator', 'card/0', ...at),
      sluice('state', 'scan', path, ...ofCards),
      sluice('state', 'verify', path, '--sample', '100%', ...at),
    ]);
    expect(got.stderr).toBe('');
    const rows = got.stdout.trim().split('\n');
    expect(rows).toHaveLength(10);
    expect(JSON.parse(rows[0] ?? '')).toEqual({
      operator: 'card/0',
      kind: 'rolling',
      key: { card: 'card-3' },
      event_time: '2024-01-01T00:00:00.300Z',
      values: { amount: 21 },
    });
    expect(before.stdout).toContain('card=card-3');
    expect(before.stdout.match(/card-3/g)).toHaveLength(3);

    await writeFile(join(test.folder, 'state.jsonl'), scanned.stdout);
    const query = `SELECT key.card, count(), max(values.amount) FROM file('${test.folder}/state.jsonl') GROUP BY ALL ORDER BY 1 LIMIT 2`;
    const answer = await sluice('sql', query, '--format', 'CSV', ...at);
    expect(answer.stderr).toBe('');
    expect(answer.stdout).toBe('"card-0",10,30\n"card-1",10,37\n');

    expect(verified.code).toBe(0);
    expect(JSON.parse(verified.stdout)).toEqual({ keys: 640, drift: 0, replayed: 500 });
    await test.damage(job, 'card/0', 'card-3', (value) => value.fill(0x41, -1));
    const drifted = await sluice('state', 'verify', path, '--sample', '100%', ...at);
    expect(drifted.code).toBe(1);
    const [words, figures] = drifted.stdout.trim().split('\n');
    expect(words).toMatch(/^operator card\/0, key card-3: row 10 of 10 is stored as .*, and the log says /);
    expect(JSON.parse(figures ?? '')).toMatchObject({ drift: 1 });
    const rebuilt = await sluice('state', 'rebuild', path, ...at);
    expect(rebuilt.code).toBe(0);
    expect((await verifyState(job, test.storage, test.directory, 1)).drifts).toEqual([]);
  });

  it('rebuilds nothing while the job runs', async () => {
    await using test = await StateUnderTest.open(1);
    const path = await test.jobFile();
    await test.add(payments(10));
    const running = new SluiceProcess('run', path, '--dir', test.directory);
    try {
      while ((await test.answers().catch(() => [])).length < 10) await systemClock.sleep(50);
      const refused = await sluice('state', 'rebuild', path, '--dir', test.directory);
      expect(refused.code).toBe(1);
      expect(refused.stderr).toContain('DIRECTORY_IN_USE');
      const looked = await sluice('state', 'scan', path, '--limit', '1', '--dir', test.directory);
      expect(looked.code).toBe(0);
    } finally {
      await running.kill();
    }
  });

  it('leaves the old state or the new one, whole, when a rebuild is killed', async () => {
    await using test = await StateUnderTest.open(1);
    const path = await test.jobFile();
    const job = await test.job();
    await test.add(payments(6_000));
    await test.run(job);
    // Every card's state is wrong, so a mixture would have some that are right.
    const cards = Array.from({ length: 50 }, (_, index) => `card-${index}`);
    for (const card of cards) await test.damage(job, 'card/0', card, (value) => value.fill(0x41, -1));
    let outcomes = '';
    for (const afterMs of [900, 1_100, 1_200, 1_300, 1_400, 1_500, 60_000]) {
      const rebuild = new SluiceProcess('state', 'rebuild', path, '--dir', test.directory);
      await Promise.race([systemClock.sleep(afterMs), rebuild.ended]);
      await rebuild.kill();
      const { drifts } = await verifyState(job, test.storage, test.directory, 1);
      expect([0, 50]).toContain(drifts.length);
      outcomes += drifts.length === 0 ? 'new ' : 'old ';
      if (drifts.length === 0) break;
    }
    expect(outcomes).toMatch(/new $/);
    await test.add(payments(6_100).slice(6_000));
    await test.run(job);
    expect(await test.answers()).toHaveLength(6_100);
  });
});
