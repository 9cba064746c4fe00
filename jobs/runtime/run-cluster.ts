import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import type { Trigger } from '../../engine/execution/streaming-query.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleStage } from './assemble-stage.ts';
import type { ClusterSettings } from './cluster/cluster-settings.ts';
import { clusterRegistry } from './cluster/cluster-registry.ts';
import { ensureTopics, inputTopic, writtenTopics } from './cluster/job-topics.ts';
import { neededServices } from './cluster/needed-services.ts';
import { runFigures, type RunFigures } from './cluster/run-figures.ts';
import { StageWorker } from './cluster/stage-worker.ts';
import { openModel } from './open-model.ts';
import { openDeadLetterEncoder, openEncoder, outputTopics } from './open-outputs.ts';
import { openDecoder } from './open-source.ts';
import { planStages, type Stage } from './stages.ts';

/** What the cluster profile gives a job to run on. */
export interface ClusterProfile {
  readonly settings: ClusterSettings;
  /** The model registry's directory. */
  readonly modelsDirectory: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly bounds?: Partial<QueryBounds>;
}

/** One worker of a job on a cluster, made ready: its model is loaded, its topics are there, no group is joined yet. */
export interface ClusterRun extends AsyncDisposable {
  /** What this worker has done so far. */
  readonly figures: RunFigures;
  /**
   * Works on the partitions that the consumer groups give it, until the trigger or the signal ends it; then it hands over and leaves.
   *
   * @throws {SluiceError} the first error that waiting cannot mend; nothing of its task was committed after it.
   */
  run(trigger: Trigger, signal: AbortSignal): Promise<void>;
}

/**
 * Opens a job on Kafka and Redis as one of any number of workers, here and on other machines, which share its partitions. Each stage of the job is a consumer group
 * (`app.job` and the stage's suffix), each partition of its input a task with state, watermark and transactional producer of its own (`app.job.topic-partition`);
 * the model is loaded once for all of them.
 *
 * @throws {SluiceError} `SETTING_MISSING`, `SOURCE_UNSUITABLE`, what {@link ensureTopics} and the model throw, and what the settings' files do.
 */
export async function openClusterRun(job: CheckedJob, profile: ClusterProfile): Promise<ClusterRun> {
  const { settings, modelsDirectory, logger, clock, bounds } = profile;
  const { kafka, redis: redisSettings } = neededServices(settings);
  const stages = planStages(job);
  const input = inputTopic(job);
  const written = writtenTopics(job, stages);
  using admin = new KafkaAdmin(kafka.client);
  const counts = await ensureTopics(input, written, { admin, replicas: kafka.replicas, clock }, (topic, partitions) =>
    logger.info(`created topic ${topic.topic} for the job's ${topic.use}`, { topic: topic.topic, partitions }),
  );
  const countOf = (topic: string): number => counts.get(topic) ?? 1;
  const registry = clusterRegistry(settings, clock);
  const model = await openModel(job, modelsDirectory);
  const encoders: Encoder[] = [];
  for (const output of outputTopics(job)) {
    encoders.push(await openEncoder(job, model?.identity ?? null, output, countOf(output.topic), registry));
  }
  const deadLetterPartitions = job.deadLetters.policy === 'fail' ? 1 : countOf(job.deadLetters.topic);
  const encodeDeadLetters = await openDeadLetterEncoder(job, deadLetterPartitions, registry);
  let troubleOfRedis: string | null = null;
  const redis = connectRedis(redisSettings, (error) => {
    // Told at every attempt to connect; said once for each way in which it fails.
    if (error.message === troubleOfRedis) return;
    troubleOfRedis = error.message;
    logger.warn('the connection to Redis is in trouble', errorFields(error));
  });

  const topicOf = ({ input: from }: Stage): string => (from === 'source' ? input : from.topic);
  const workers = stages.map((stage, index) => {
    const before = stages[index - 1];
    return new StageWorker({
      name: `${job.app}.${job.name}${stage.suffix}`,
      topic: topicOf(stage),
      partitions: countOf(topicOf(stage)),
      digest: stage.digest,
      kafka,
      redis,
      logger,
      clock,
      openQuery: (partition, source, commitLog) =>
        assembleStage(job, stage, {
          partition,
          source,
          input,
          decoder: stage.input === 'source' ? openDecoder(job, registry) : null,
          commitLog,
          model: stage.output === 'results' ? model : null,
          encoders: stage.output === 'results' ? encoders : [],
          encodeDeadLetters,
          upstreamPartitions: countOf(before === undefined ? input : topicOf(before)),
          downstreamPartitions: stage.output === 'results' ? 1 : countOf(stage.output.topic),
          ...(bounds === undefined ? {} : { bounds }),
        }),
    });
  });
  return {
    get figures() {
      return runFigures(workers.map(({ totals }) => totals));
    },
    run: (trigger, signal) => runStages(workers, trigger, signal),
    [Symbol.asyncDispose]: async () => {
      redis.disconnect();
      await model?.scorer[Symbol.asyncDispose]();
    },
  };
}

/** All at once; or one after the other, where what is there is worked off: a stage has all of its input once the one before has ended. */
async function runStages(workers: readonly StageWorker[], trigger: Trigger, stopped: AbortSignal): Promise<void> {
  if (trigger === 'availableNow') {
    for (const worker of workers) await worker.run(trigger, stopped);
    return;
  }
  const ended = new AbortController();
  const end = (): void => ended.abort();
  stopped.addEventListener('abort', end, { once: true });
  if (stopped.aborted) end();
  const runs = workers.map((worker) =>
    worker.run(trigger, ended.signal).catch((error: unknown) => {
      end();
      throw error;
    }),
  );
  // Every stage hands over before the first error, which is the cause, is given on.
  const first = Promise.all(runs);
  await Promise.allSettled(runs);
  await first;
}
