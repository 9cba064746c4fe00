import { SluiceError } from '../../engine/error.ts';
import { allEnded } from '../../engine/execution/all-ended.ts';
import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { retryTransient } from '../../engine/execution/retry-transient.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import { OnlineValues } from '../../engine/state/redis/online-values.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import { adoptOnCluster } from '../state/changed-tasks.ts';
import { assembleStage } from './stages/assemble-stage.ts';
import type { ClusterKafka, ClusterSettings } from './cluster/cluster-settings.ts';
import { clusterRegistry } from './cluster/cluster-registry.ts';
import { ensureTopics, inputTopics, topicOf, writtenTopics } from './cluster/job-topics.ts';
import { neededServices } from './cluster/needed-services.ts';
import { checkPartitionsKept } from './cluster/recorded-partitions.ts';
import { runFigures, type RunFigures } from './cluster/run-figures.ts';
import { StageWorker, type WorkerTrigger } from './cluster/stage-worker.ts';
import { tablesRead } from './cluster/tables-read.ts';
import { keptOnline, withOnlineFeatures } from './online-features.ts';
import { openAmendEncoder } from './open-amend-encoder.ts';
import { openModel } from './open-model.ts';
import { lateRecords, openLateEncoder } from './open-late-encoder.ts';
import { openDeadLetterEncoder, outputTopics } from './open-outputs.ts';
import { refuseAdvanceOnIdle } from './partition-rules.ts';
import { openStageDecoder } from './stages/stage-decoder.ts';
import { planStages, type Stage } from './stages/stages.ts';
import { upstreamsOf } from './stages/stage-upstreams.ts';
import { openResultEncoder } from './window-outputs.ts';

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
  run(trigger: WorkerTrigger, signal: AbortSignal): Promise<void>;
}

/**
 * Opens a job on Kafka and Redis as one of any number of workers, here and on other machines, which share its partitions. Each stage of the job is a consumer group
 * (`app.job` and the stage's suffix), each partition of its input a task with state, watermark and transactional producer of its own (`app.job.topic-partition`);
 * the model is loaded once for all of them. Waits, saying so, while a service is away.
 *
 * @param signal aborted when the worker is to end before it has begun.
 * @throws {SluiceError} `ADVANCE_ON_IDLE_ON_CLUSTER`, `SETTING_MISSING`, `SOURCE_UNSUITABLE`, what {@link ensureTopics} and the model throw, and what the settings' files do.
 */
export async function openClusterRun(
  job: CheckedJob,
  profile: ClusterProfile,
  signal: AbortSignal,
): Promise<ClusterRun> {
  refuseAdvanceOnIdle(job);
  const { settings, modelsDirectory, logger, clock, bounds } = profile;
  const { kafka, redis: redisSettings } = neededServices(settings);
  const stages = planStages(job);
  const inputs = inputTopics(job);
  const input = inputs.join(', ');
  // A worker that is started again while a service is away waits for it, as it would have done in the middle of its work.
  const waiting = <T>(call: () => Promise<T>): Promise<T> =>
    retryTransient(call, clock, signal, (error) => logger.warn('the worker waits and tries again', errorFields(error)));
  const counts = await waiting(() => topicsOf(job, stages, kafka, profile));
  const countOf = (topic: string): number => counts.get(topic) ?? 1;
  const nameOf = ({ suffix }: Stage): string => `${job.app}.${job.name}${suffix}`;
  const opened = new Opened();
  try {
    const redis = opened.add(connectRedis(redisSettings, sayOnce(logger)), (client) => client.disconnect());
    for (const stage of stages) {
      const topic = topicOf(job, stage);
      await waiting(() => checkPartitionsKept(redis, nameOf(stage), topic, countOf(topic), 'record'));
    }
    const fateOf = await waiting(() => adoptOnCluster(redis, job, logger));
    const registry = clusterRegistry(settings, clock);
    const model = opened.add(await openModel(job, modelsDirectory), (bound) => bound?.scorer[Symbol.asyncDispose]());
    const encoders: Encoder[] = [];
    for (const output of outputTopics(job)) {
      const identity = model?.identity ?? null;
      encoders.push(await waiting(() => openResultEncoder(job, identity, output, countOf(output.topic), registry)));
    }
    const late = lateRecords(job);
    const lateEncoder =
      late === null ? null : await waiting(() => openLateEncoder(late, countOf(late.topic), registry));
    const { deadLetters, amendments } = job;
    const amendPartitions = amendments === null ? 1 : countOf(amendments.topic);
    const amendEncoder = await waiting(() => openAmendEncoder(job, amendPartitions, registry));
    const letterPartitions = deadLetters.policy === 'fail' ? 1 : countOf(deadLetters.topic);
    const encodeDeadLetters = await waiting(() => openDeadLetterEncoder(job, letterPartitions, registry));
    const online = keptOnline(job);
    const workers = stages.map((stage, index) => {
      const [before, isLast] = [stages[index - 1], stage.output === 'results'];
      const topic = topicOf(job, stage);
      return new StageWorker({
        name: nameOf(stage),
        topic,
        partitions: countOf(topic),
        fateOf: (digest) => (digest === stage.digest ? 'serve' : fateOf(digest)),
        kafka,
        redis,
        // Only the last stage has every feature of a record.
        online:
          isLast && job.state.online !== null ? new OnlineValues(redis, { app: job.app, ...job.state.online }) : null,
        logger,
        clock,
        openQuery: (partition, source, commitLog) => {
          const query = assembleStage(job, stage, {
            partition,
            source,
            input: stage.input === 'source' ? topic : input,
            decoder: openStageDecoder(job, stage, registry),
            commitLog,
            model: isLast ? model : null,
            encoders: isLast ? encoders : [],
            lateEncoder,
            amendEncoder,
            encodeDeadLetters,
            upstreamPartitions: countOf(before === undefined ? topic : topicOf(job, before)),
            upstreams: upstreamsOf(stages, stage, (each) => countOf(topicOf(job, each))),
            downstreamPartitions: stage.output === 'results' ? 1 : countOf(stage.output.topic),
            bounds: { workingSetBytes: settings.workingSetBytes, ...bounds },
          });
          return withOnlineFeatures(query, isLast ? online : []);
        },
      });
    });
    return {
      get figures() {
        return runFigures(
          workers.map(({ totals }) => totals),
          inputs.length,
        );
      },
      run: (trigger, stopped) =>
        runStages(workers, trigger, stopped, async (index, ending) => {
          if (index !== streamOf(job)) return;
          const tables = stages.slice(0, index).map((stage) => {
            const topic = topicOf(job, stage);
            return { group: nameOf(stage), topic, partitions: countOf(topic) };
          });
          await tablesRead(tables, kafka.client, clock, ending, (error) =>
            logger.warn('the worker waits and tries again', errorFields(error)),
          );
        }),
      [Symbol.asyncDispose]: () => opened.close(),
    };
  } catch (error) {
    await opened.close();
    throw error;
  }
}

/** The stage of the records that are looked up in tables, whose stages come before it; `null` for a job without tables. */
function streamOf({ source }: CheckedJob): number | null {
  return source.kind === 'inputs' && source.plan.enriched !== null ? source.plan.inputs.length - 1 : null;
}

/** What was opened, to be closed in the other order. */
class Opened {
  readonly #closers: (() => unknown)[] = [];

  add<T>(thing: T, close: (thing: T) => unknown): T {
    this.#closers.push(() => close(thing));
    return thing;
  }

  async close(): Promise<void> {
    for (const close of this.#closers.splice(0).toReversed()) await close();
  }
}

async function topicsOf(
  job: CheckedJob,
  stages: readonly Stage[],
  { client, replicas }: ClusterKafka,
  { logger, clock }: ClusterProfile,
): Promise<ReadonlyMap<string, number>> {
  using admin = new KafkaAdmin(client);
  const written = writtenTopics(job, stages);
  return await ensureTopics(inputTopics(job), written, { admin, replicas, clock }, ({ topic, use }, partitions) =>
    logger.info(`created topic ${topic} for the job's ${use}`, { topic, partitions }),
  );
}

/** Redis's troubles as they come: one at every attempt to connect, said once for each way in which it fails. */
function sayOnce(logger: Logger): (error: Error) => void {
  let said: string | null = null;
  return (error) => {
    if (error.message === said) return;
    said = error.message;
    logger.warn('the connection to Redis is in trouble', errorFields(error));
  };
}

/**
 * All at once; or one after the other, where what is there is worked off: a stage has all of its input once the one before has ended.
 *
 * @param before what a stage waits for first, where all run at once.
 */
async function runStages(
  workers: readonly StageWorker[],
  trigger: WorkerTrigger,
  stopped: AbortSignal,
  before: (index: number, ending: AbortSignal) => Promise<void>,
): Promise<void> {
  if (trigger !== 'realtime') {
    for (const worker of workers) await worker.run(trigger, stopped);
    return;
  }
  const ended = new AbortController();
  const end = (): void => ended.abort();
  stopped.addEventListener('abort', end, { once: true });
  if (stopped.aborted) end();
  const runs = workers.map(async (worker, index) => {
    try {
      await before(index, ended.signal);
      await worker.run(trigger, ended.signal);
    } catch (error) {
      // Told to end while it waited: it had not begun.
      if (stopped.aborted && error instanceof SluiceError && error.retryable === 'transient') return;
      end();
      throw error;
    }
  });
  // Every stage hands over before the first error, which is the cause, is given on.
  await allEnded(runs);
}
