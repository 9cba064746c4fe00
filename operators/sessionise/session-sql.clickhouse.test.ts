import { Session } from 'chdb';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LATE } from '../../engine/record/record-batch.ts';
import { batchesOfSample, querySample, sampledRows, sampledSchema, sampleStreams } from '../testing/sampled-streams.ts';
import { SessionLogic } from './session-logic.ts';

/** Random streams for each gap, all in one table, compared in one query. */
const streams = Number(process.env['SLUICE_STREAMS'] ?? 1_000);
const delayMs = 6;

describe('sessions against ClickHouse', () => {
  let session: Session;
  beforeAll(() => {
    session = new Session();
  });
  afterAll(() => {
    session.cleanup();
  });

  // A key that is forgotten begins anew. In SQL: its records fall apart into lives, each of which ends where the watermark is far enough past the newest.
  it.each([
    [3, 1_000_000],
    [8, 1_000_000],
    [8, 8],
    [8, 30],
  ])('are what window functions give over the log, with a gap of %i ms, forgotten after %i', (gapMs, forgetMs) => {
    const sampled = sampleStreams(streams, gapMs + forgetMs);
    const definition = { operatorId: 's', key: ['card'], gapMs, forgetMs, delayMs, closedBy: 'partition' } as const;
    let lateCount = 0;
    const got = sampled.flatMap((items, stream) => {
      const logic = new SessionLogic(definition, sampledSchema, { state: 'empty' });
      return batchesOfSample(items, delayMs, 1 + (stream % 7)).flatMap((batch) => {
        const answered = logic.apply(batch);
        lateCount += answered.flags.reduce((sum, flags) => sum + (flags & LATE), 0) / LATE;
        return sampledRows(stream, answered).map(({ amount: _amount, place: _place, ...row }) => row);
      });
    });
    const before = 'PARTITION BY stream, card ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING';
    const upTo = 'ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW';
    const wanted = querySample(
      session,
      sampled,
      delayMs,
      `SELECT stream, o, card,
         if(card IS NULL OR isLate, NULL, concat(card, '@', toString(start))) AS session_id,
         if(card IS NULL OR isLate, NULL, number) AS session_number,
         if(card IS NULL OR isLate, NULL, start) AS session_start
       FROM (
         SELECT *, start - t >= ${gapMs} AS isLate FROM (
           SELECT *, sum(opens) OVER (PARTITION BY stream, card, life ${upTo}) AS number,
             max(if(opens, t, -1000000)) OVER (PARTITION BY stream, card, life ${upTo}) AS start
           FROM (
             SELECT *, newest IS NULL OR t - newest >= ${gapMs} AS opens FROM (
               SELECT *, maxOrNull(t) OVER (PARTITION BY stream, card, life ORDER BY o ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS newest
               FROM (
                 SELECT *, sum(begins) OVER (PARTITION BY stream, card ${upTo}) AS life FROM (
                   SELECT *, ifNull(w >= maxOrNull(t) OVER (${before}) + ${forgetMs}, 0) AS begins FROM log))))))
       ORDER BY stream, o`,
    );
    expect(lateCount).toBeGreaterThan(streams / 20);
    expect(got).toEqual(wanted);
  });
});
