import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';

/**
 * Keeps what the state of a job of a digest is: in the hash `sluice:{JOB}:layouts`, JSON by digest. Called by each worker when it opens the job; workers that start at once write
 * the same.
 */
export async function keepJobLayout(client: RedisClient, job: string, digest: string, layout: object): Promise<void> {
  await client.hset(keyOf(job), digest, JSON.stringify(layout)).catch((error: unknown) => {
    throw redisFailure(`keep what the state of ${job} is`, error);
  });
}

/** What is kept of all digests that a job has had, by digest. */
export async function keptJobLayouts(client: RedisClient, job: string): Promise<ReadonlyMap<string, unknown>> {
  const kept = await client.hgetall(keyOf(job)).catch((error: unknown) => {
    throw redisFailure(`look at what the state of ${job} is`, error);
  });
  return new Map(Object.entries(kept).map(([digest, text]) => [digest, JSON.parse(text) as unknown]));
}

function keyOf(job: string): string {
  return `sluice:{${job}}:layouts`;
}
