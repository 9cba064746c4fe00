import { SluiceError } from '../../engine/error.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import type { KafkaSettings } from '../../engine/source/kafka/kafka-settings.ts';
import { connectRedis, type RedisClient } from '../../engine/state/redis/connect-redis.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { ClusterSettings } from '../runtime/cluster/cluster-settings.ts';
import { topicOf } from '../runtime/cluster/job-topics.ts';
import { neededServices } from '../runtime/cluster/needed-services.ts';
import { planStages, type Stage } from '../runtime/stages/stages.ts';

const attempts = 10;
const tryAgainMs = 300;

/** Where the services are. */
export interface ClusterStore {
  readonly settings: ClusterSettings;
  readonly clock: Clock;
}

/** A stage of a job on a cluster as its tasks are named. */
export interface ClusterStage {
  readonly job: CheckedJob;
  readonly stage: Stage;
  /** Consumer group, and beginning of the tasks' names. */
  readonly name: string;
  readonly topic: string;
  readonly partitions: number;
  readonly kafka: KafkaSettings;
  readonly redis: RedisClient;
}

/** A task's name, as its owners have it. */
export function taskOf({ name, topic }: Pick<ClusterStage, 'name' | 'topic'>, partition: number): string {
  return `${name}.${topic}-${partition}`;
}

/**
 * Looks up the stages of a job on a cluster, in the order in which records go through them, for whoever saves or restores their state.
 *
 * @throws {SluiceError} `TOPIC_MISSING`; what {@link topicOf} throws; what the services say.
 */
export async function withStages<T>(
  job: CheckedJob,
  { settings }: ClusterStore,
  use: (stages: readonly ClusterStage[]) => Promise<T>,
): Promise<T> {
  const { kafka, redis: redisSettings } = neededServices(settings);
  const stages = planStages(job);
  using admin = new KafkaAdmin(kafka.client);
  const redis = connectRedis(redisSettings, () => undefined);
  try {
    const clusters: ClusterStage[] = [];
    for (const stage of stages) {
      const topic = topicOf(job, stage);
      const partitions = await admin.partitionCount(topic);
      if (partitions === null) {
        throw new SluiceError(
          'TOPIC_MISSING',
          `topic ${topic}, which job ${job.name} reads, must be there; it is not`,
          {
            fields: { topic },
          },
        );
      }
      const name = `${job.app}.${job.name}${stage.suffix}`;
      clusters.push({ job, name, topic, partitions, kafka: kafka.client, redis, stage });
    }
    return await use(clusters);
  } finally {
    redis.disconnect();
  }
}

/** A topic that was made a moment ago has no leader yet: what fails for now is tried again, a few times. */
export async function patient<T>(clock: Clock, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof SluiceError) || error.retryable !== 'transient' || attempt >= attempts) throw error;
      await clock.sleep(tryAgainMs);
    }
  }
}
