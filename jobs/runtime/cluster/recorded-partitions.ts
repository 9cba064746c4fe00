import { SluiceError } from '../../../engine/error.ts';
import { recordedPartitions } from '../../../engine/state/redis/task-header.ts';
import type { RedisClient } from '../../../engine/state/redis/connect-redis.ts';

/**
 * Refuses an input that has other partitions than when the job's state was begun.
 *
 * @param mode `record` for a worker, which keeps the count where there is none; `look` for a check.
 * @throws {SluiceError} `TOPIC_PARTITIONS_CHANGED`.
 */
export async function checkPartitionsKept(
  redis: RedisClient,
  job: string,
  topic: string,
  count: number,
  mode: 'record' | 'look',
): Promise<void> {
  const recorded = await recordedPartitions(redis, job, topic, mode === 'record' ? count : null);
  if (recorded !== null && recorded !== count) throw partitionsChanged(job, topic, recorded, count);
}

/** `TOPIC_PARTITIONS_CHANGED`: the input has other partitions than those that the job's state was made with. */
export function partitionsChanged(job: string, topic: string, before: number, now: number): SluiceError {
  return new SluiceError(
    'TOPIC_PARTITIONS_CHANGED',
    `topic ${topic} must keep the ${before} partitions that the state of ${job} was begun with; it has ${now}. Its keys lie in other partitions now, away from ` +
      'their past: read a topic that was filled anew with that many, and run the job under another name',
    { fields: { job, topic, before, now } },
  );
}
