import { describe, expect, it } from 'vitest';
import { jobOf } from '../../testing/job-folder.ts';
import { checkInputSettings } from './check-kafka.ts';

const dayMs = 86_400_000;

/** What is said of a topic with these settings; the job flushes every 5 s and reaches 30 d back. */
async function said(settings: Readonly<Record<string, string | number>>): Promise<string> {
  const entries = Object.entries(settings).map(([name, value]) => [name, String(value)] as const);
  const { outcome, words } = checkInputSettings(await jobOf(), 'payments', 4, new Map(entries));
  return `${outcome}: ${words}`;
}

describe("the input topic's settings", () => {
  it('are sound where records are kept for as long as features reach back', async () => {
    expect(await said({ 'retention.ms': 40 * dayMs })).toBe('ok: 4 partitions, kept for 40d');
    expect(await said({ 'retention.ms': -1, 'retention.bytes': -1 })).toBe('ok: 4 partitions, kept for ever');
  });

  it('are warned of where lost state could not be rebuilt, or a burst could push records out', async () => {
    expect(await said({ 'retention.ms': 7 * dayMs })).toMatch(/^warned: .*features reach 3[0-9]d/);
    expect(await said({ 'retention.ms': 40 * dayMs, 'retention.bytes': 1_000 })).toMatch(/^warned: .*retention\.bytes/);
  });

  it.each(['compact', 'compact,delete'])('are refused where the topic is compacted (%s)', async (policy) => {
    await expect(said({ 'cleanup.policy': policy })).rejects.toMatchObject({ code: 'TOPIC_COMPACTED' });
  });

  it('are refused where a record is gone before the state that it made is written', async () => {
    await expect(said({ 'retention.ms': 4_999 })).rejects.toMatchObject({ code: 'RETENTION_TOO_SHORT' });
  });
});
