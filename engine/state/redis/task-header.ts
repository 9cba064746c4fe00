import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';

/** What the state of a task says of itself. */
export interface TaskHeader {
  /** The offset that the state reflects; `null` where nothing was ever written. */
  readonly offset: number | null;
  /** What was written beside it; `null` where nothing was. */
  readonly metadata: string | null;
}

/** Reads where the state of a task stands, without a claim: for checks beside a job that may be running. */
export async function readTaskHeader(client: RedisClient, task: string): Promise<TaskHeader> {
  const [offset, metadata] = await client.hmget(`sluice:{${task}}`, 'offset', 'metadata').catch((error: unknown) => {
    throw redisFailure(`look at the state of ${task}`, error);
  });
  return { offset: offset === null || offset === undefined ? null : Number(offset), metadata: metadata ?? null };
}

/**
 * How many partitions a topic had when the state of a job was begun: kept in the hash `sluice:{JOB}:partitions`, since a topic that grew would send keys to
 * partitions whose state does not know them.
 *
 * @param count recorded where nothing was yet; `null` only looks.
 * @returns what is recorded; `null` where nothing is.
 */
export async function recordedPartitions(
  client: RedisClient,
  job: string,
  topic: string,
  count: number | null,
): Promise<number | null> {
  const key = `sluice:{${job}}:partitions`;
  try {
    const [recorded] = await client.hmget(key, topic);
    if (recorded !== null && recorded !== undefined) return Number(recorded);
    if (count === null) return null;
    // Two workers that start at once record the same.
    await client.hset(key, topic, String(count));
    return count;
  } catch (error) {
    throw redisFailure(`look at the partitions that the state of ${job} was begun with`, error);
  }
}
