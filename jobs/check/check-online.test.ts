import { describe, expect, it } from 'vitest';
import { onlineEntities } from '../plan/online-entities.ts';
import { jobOf, problemsOf } from '../testing/job-folder.ts';

const job = 'jobs/job.yaml';
const online = (value: string) => [job, 'flushEvery: 5s', `flushEvery: 5s, online: ${value}`] as const;

describe('what a job keeps online', () => {
  it('is nothing, every entity, or some, for ever or for a time', async () => {
    expect((await jobOf()).state.online).toBeNull();
    expect((await jobOf(online('true'))).state.online).toEqual({ entities: null, ttlMs: null });
    expect((await jobOf(online('{ entities: [card], ttl: 30d }'))).state.online).toEqual({
      entities: ['card'],
      ttlMs: 30 * 86_400_000,
    });
  });

  it('are the features that the files of an entity declare, those computed from others among them', async () => {
    expect(onlineEntities((await jobOf()).features)).toEqual([
      { name: 'card', key: ['card'], columns: ['avg_7d', 'avg_30d', 'count_1h', 'ratio', 'places_30d'] },
      { name: 'terminal', key: ['terminal'], columns: ['rate_7d', 'risk'] },
    ]);
  });

  it('is of no consequence for state and answers, so a job may begin, and stop, to keep it', async () => {
    expect((await jobOf(online('true'))).digest).toBe((await jobOf()).digest);
  });

  it('is refused where it names no entity, with the one that was meant', async () => {
    expect(await problemsOf(online('{ entities: [card, terminals] }'))).toMatchObject([
      { code: 'NAME_UNKNOWN', nearest: 'terminal', expected: 'one of card, terminal' },
    ]);
    expect(await problemsOf(online('maybe'))).toMatchObject([{ file: job }]);
  });
});
