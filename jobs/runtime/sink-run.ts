import type { SinkJob } from '../sink-job.ts';
import { TopicCopy, type SinkCluster } from './sink-topic.ts';

/**
 * Copies committed messages from Kafka to ClickHouse until the signal. Each topic has a consumer group, `APP.JOB.TOPIC`, whose partitions
 * workers on any number of machines share. A ClickHouse, or a Kafka, that is away is waited for; nothing but lag comes of it.
 *
 * A partition whose messages the table refuses halts by name, and the others go on; when every one that this worker has stands still, it ends.
 *
 * @throws {SluiceError} `TOPIC_MISSING`, `CLICKHOUSE_TABLE_MISSING`, `KAFKA_REFUSED` at the start; later, once the others have written what they had in
 * hand, the error of the first partition that has halted.
 */
export async function runSinkJob(job: SinkJob, cluster: SinkCluster, stopped: AbortSignal): Promise<void> {
  const ending = new AbortController();
  const end = (): void => {
    ending.abort();
  };
  stopped.addEventListener('abort', end);
  if (stopped.aborted) end();
  const errors: unknown[] = [];
  const runs = job.copies.map(async (copy) => {
    try {
      await new TopicCopy(copy, `${job.app}.${job.name}.${copy.topic}`, cluster).run(ending.signal);
    } catch (error) {
      errors.push(error);
    } finally {
      end();
    }
  });
  // All are waited for, so that none is cut off in its chunk; the first error is the cause.
  await Promise.all(runs);
  stopped.removeEventListener('abort', end);
  if (errors.length > 0) throw errors[0];
}
