import { ClusterClickHouse } from '../../engine/clickhouse/clickhouse-access.ts';
import { migrationStatus, type MigrationStatus } from '../../engine/clickhouse/migrations.ts';
import { checkClickHouseVersion } from '../../engine/clickhouse/check-version.ts';
import { messageOf, SluiceError } from '../../engine/error.ts';
import { KafkaAdmin } from '../../engine/source/kafka/kafka-admin.ts';
import { connectRedis } from '../../engine/state/redis/connect-redis.ts';
import type { Clock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../checked-job.ts';
import { fatesOfLeft } from '../state/changed-tasks.ts';
import { checkKafka } from './cluster/check-kafka.ts';
import { checkPositions, checkRedis } from './cluster/check-state.ts';
import { Checklist, fine, warned, type CheckResult } from './cluster/checklist.ts';
import { clusterRegistry } from './cluster/cluster-registry.ts';
import type { ClusterSettings } from './cluster/cluster-settings.ts';
import { checkIgnoredSinks } from './cluster/ignored-sinks.ts';
import { inputTopics, topicOf } from './cluster/job-topics.ts';
import { neededServices } from './cluster/needed-services.ts';
import { openModel } from './open-model.ts';
import { outputTopics } from './open-outputs.ts';
import { keepsState, planStages, type Stage } from './stages/stages.ts';

/** What the checks are made with. */
export interface PreflightProfile {
  readonly settings: ClusterSettings;
  readonly modelsDirectory: string;
  readonly clock: Clock;
  /** `start`: what a job can do without for now, a ClickHouse that is away, is warned of and not refused. */
  readonly purpose: 'start' | 'examine';
  /** libuv's threads (`UV_THREADPOOL_SIZE`), which the client's transactions wait on. */
  readonly threads: number;
}

/**
 * Looks at everything that a job needs on a cluster before it starts, all of it whatever is found: what would lose data is refused in words, with the way out. Called by
 * `sluice run --profile cluster`, which starts nothing while anything is refused, and by `sluice doctor`. Writes nothing, and takes nothing from workers that run.
 *
 * @returns in the order in which a person would mend them.
 */
export async function preflight(job: CheckedJob, profile: PreflightProfile): Promise<readonly CheckResult[]> {
  const groups = await Promise.all([
    checkCluster(job, profile),
    checkModel(job, profile),
    checkClickHouse(job, profile),
    checkRegistry(job, profile),
  ]);
  return [...groups.flatMap(({ results }) => results), ...checkIgnoredSinks(job)];
}

async function checkCluster(job: CheckedJob, { settings, threads, clock }: PreflightProfile): Promise<Checklist> {
  const checklist = new Checklist();
  const isSound = await checklist.check('settings', async () => {
    neededServices(settings);
    inputTopics(job);
    return Promise.resolve(fine('Kafka and Redis are named'));
  });
  if (!isSound) return checklist;
  const { kafka, redis: redisSettings } = neededServices(settings);
  const stages = planStages(job);
  if (stages.length > 1) await checklist.check('stages', () => Promise.resolve(fine(stageWords(job, stages))));
  const redis = connectRedis(redisSettings, () => undefined);
  try {
    using admin = new KafkaAdmin(kafka.client);
    const ofRedis = new Checklist();
    const [partitions, redisAnswers] = await Promise.all([
      checkKafka(checklist, job, stages, kafka, admin),
      checkRedis(ofRedis, redis),
    ]);
    checklist.results.push(...ofRedis.results);
    for (const stage of stages) {
      const topic = topicOf(job, stage);
      const fateOf = redisAnswers ? await fatesOfLeft(redis, job) : () => 'refuse' as const;
      const state = keepsState(job, stage) ? ('kept' as const) : ('none' as const);
      const tasks = { name: `${job.app}.${job.name}${stage.suffix}`, topic, digest: stage.digest, fateOf, state };
      if (partitions !== null && redisAnswers) await checkPositions(checklist, tasks, kafka.client, redis, clock);
      else checklist.skip([`positions in ${topic}`], 'the topic and Redis must both be there');
    }
    if (partitions !== null) await checkThreads(checklist, partitions * stages.length, threads);
  } finally {
    redis.disconnect();
  }
  return checklist;
}

/** Which groups of workers there will be, and what runs in each. */
function stageWords({ app, name }: CheckedJob, stages: readonly Stage[]): string {
  const words = stages.map((stage) => {
    const { operators } = stage;
    const computes = operators.length === 0 ? 'passes records on' : `computes ${operators.join(', ')}`;
    return `${app}.${name}${stage.suffix}, keyed by ${stage.key.join(' + ')}, ${computes}`;
  });
  return `${stages.length}: ${words.join('; ')}`;
}

/** Each task may have a call out that holds a thread for a while, and a commit a second one. */
async function checkThreads(checklist: Checklist, tasks: number, threads: number): Promise<void> {
  const wanted = 2 * tasks + 8;
  await checklist.check('threads', () =>
    Promise.resolve(
      threads >= wanted
        ? fine(`${threads}, enough for all ${tasks} tasks in one process`)
        : warned(
            `${threads} are few for ${tasks} tasks in one process: start more workers, or set UV_THREADPOOL_SIZE=${wanted}`,
          ),
    ),
  );
}

async function checkModel(job: CheckedJob, { modelsDirectory }: PreflightProfile): Promise<Checklist> {
  const checklist = new Checklist();
  const { score } = job;
  if (score === null) return checklist;
  await checklist.check(`model ${score.model}`, async () => {
    const model = await openModel(job, modelsDirectory);
    await model?.scorer[Symbol.asyncDispose]();
    return fine(`${model?.identity.name ?? ''}@${model?.identity.version ?? ''} loads, and takes the job's features`);
  });
  return checklist;
}

const migrationWords: Readonly<Record<MigrationStatus['state'], string>> = {
  applied: 'applied',
  pending: 'pending',
  changed: 'applied with another text',
  unknown: 'of a newer Sluice',
};

async function checkClickHouse(job: CheckedJob, { settings, purpose }: PreflightProfile): Promise<Checklist> {
  const checklist = new Checklist();
  const address = settings.clickHouse;
  if (!job.sinks.some(({ kind }) => kind === 'clickhouse')) return checklist;
  if (address === null) {
    await checklist.check('ClickHouse', () =>
      Promise.resolve(
        warned(
          'the job names a table, and nothing says where ClickHouse is: `sluice sink` will need SLUICE_CLICKHOUSE_URL, or clickhouse.url',
        ),
      ),
    );
    return checklist;
  }
  await using access = new ClusterClickHouse(address);
  let isAway = false;
  const answers = await checklist.check('ClickHouse', async () => {
    try {
      return fine(`release ${await checkClickHouseVersion(access)}`);
    } catch (error) {
      isAway = purpose === 'start' && error instanceof SluiceError && error.retryable === 'transient';
      if (!isAway) throw error;
      return warned(`${messageOf(error)}. The job does without; \`sluice sink\` will be behind until then`);
    }
  });
  if (isAway) return checklist;
  if (!answers) {
    checklist.skip(['ClickHouse tables'], 'ClickHouse is refused');
    return checklist;
  }
  await checklist.check('ClickHouse tables', async () => {
    const statuses = await migrationStatus(await access.client());
    const wrong = statuses.filter(({ state }) => state !== 'applied');
    if (wrong.length === 0) return fine('every migration was applied');
    const words = wrong.map(({ name, state }) => `${name} (${migrationWords[state]})`).join(', ');
    throw new SluiceError(
      'MIGRATIONS_PENDING',
      `ClickHouse must have the tables of this version of Sluice; these are not: ${words}. Run \`sluice migrate\`, which mends what is pending and says what to do with the rest`,
    );
  });
  return checklist;
}

async function checkRegistry(job: CheckedJob, { settings, clock }: PreflightProfile): Promise<Checklist> {
  const checklist = new Checklist();
  const { source, deadLetters } = job;
  const formats = [
    source.format,
    ...outputTopics(job).map(({ format }) => format),
    deadLetters.policy === 'fail' ? 'json' : deadLetters.format,
  ];
  if (!formats.includes('avro')) return checklist;
  const registry = clusterRegistry(settings, clock);
  await checklist.check('schema registry', async () => {
    // No schema has this number; that it says so is the answer.
    await registry.schemaById(0);
    return fine(`${registry.name} answers`);
  });
  return checklist;
}
