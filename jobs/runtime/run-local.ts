import { allEnded } from '../../engine/execution/all-ended.ts';
import type { QueryBounds } from '../../engine/execution/query-definition.ts';
import { StreamingQuery, type Trigger } from '../../engine/execution/streaming-query.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Source } from '../../engine/source/source.ts';
import { EmbeddedCommitLog } from '../../engine/storage/embedded-commit-log.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { CheckedJob } from '../checked-job.ts';
import { adoptState } from '../state/adopt-state.ts';
import { assembleQuery } from './assemble-query.ts';
import { openAmendEncoder } from './open-amend-encoder.ts';
import { openEmbeddedRegistry } from './embedded-registry.ts';
import { lateRecords, openLateEncoder } from './open-late-encoder.ts';
import { openDeadLetterEncoder, outputTopics } from './open-outputs.ts';
import type { BoundModel } from './bind-model.ts';
import { openFollowers, type FollowerProfile, type OutputFollowers } from './follow-outputs.ts';
import { refuseOnline } from './online-features.ts';
import { openInputs } from './open-inputs.ts';
import { openModel } from './open-model.ts';
import { openFileSource } from './open-source.ts';
import { openTopicInput } from './open-topic-input.ts';
import { openSimulatorSource } from './simulator-source.ts';
import { TableCopies } from './table-copies.ts';
import { openResultEncoder } from './window-outputs.ts';

/** Partitions of an input topic that is not there yet when its job is started. */
const newTopicPartitions = 4;

/** What the embedded profile runs a job on. */
export interface LocalProfile {
  /** Opened for writing; outlives the run. */
  readonly storage: Storage;
  /** The data directory that `storage` lies in. */
  readonly directory: string;
  /** The model registry's directory. */
  readonly modelsDirectory: string;
  readonly logger: Logger;
  readonly bounds?: Partial<QueryBounds>;
  /** Told of each chunk that a sink beside the topics has taken. */
  readonly onProgress?: FollowerProfile['onProgress'] | undefined;
}

/** A job made ready to run on the embedded profile: everything was checked and opened, nothing read yet. */
export interface LocalRun extends AsyncDisposable {
  readonly query: StreamingQuery;
  /**
   * Runs the query, and the sinks that follow its topics, until the trigger or the signal ends them. When a sink fails for good the query stops too, and
   * the other way round; what was committed stays.
   *
   * @throws {SluiceError} the first error that waiting cannot mend.
   */
  run(trigger: Trigger, signal: AbortSignal): Promise<void>;
}

/**
 * Opens a job on the embedded profile: makes the topics that it writes, loads its model, and puts the query together.
 *
 * @throws {SluiceError} `ONLINE_NEEDS_REDIS`; `JOB_CHANGED`, `LOG_TRUNCATED` for a changed job (`adoptState`); what the model, the topics, the sinks and the source throw.
 */
export async function openLocalRun(job: CheckedJob, profile: LocalProfile): Promise<LocalRun> {
  refuseOnline(job);
  const model = await openModel(job, profile.modelsDirectory);
  let copies: TableCopies | null = null;
  try {
    copies = await TableCopies.open(job, profile, new AbortController().signal);
    return await openWith(job, model, copies, profile);
  } catch (thrown) {
    // The scoring thread, and a ClickHouse that was started, would keep the process alive.
    await copies?.[Symbol.asyncDispose]();
    await model?.scorer[Symbol.asyncDispose]();
    throw thrown;
  }
}

async function openWith(
  job: CheckedJob,
  model: BoundModel | null,
  copies: TableCopies,
  profile: LocalProfile,
): Promise<LocalRun> {
  const { storage, directory, logger, bounds } = profile;
  const registry = openEmbeddedRegistry(directory, storage.clock);
  const input = await openInput(job, storage, registry);
  const encoders: Encoder[] = [];
  for (const output of outputTopics(job)) {
    const { partitionCount } = storage.ensureTopic(output.topic, {
      partitionCount: output.partitions ?? input.partitionCount,
    });
    encoders.push(await openResultEncoder(job, model?.identity ?? null, output, partitionCount, registry));
  }
  if (job.deadLetters.policy === 'dead-letter') {
    storage.ensureTopic(job.deadLetters.topic, { partitionCount: input.partitionCount });
  }
  await adoptState(job, storage, directory, logger);
  const commitLog = new EmbeddedCommitLog({ storage, job: job.name, jobDigest: job.digest, inputTopic: input.topic });
  const definition = assembleQuery(job, {
    ...input,
    commitLog,
    model,
    encoders,
    lateEncoder: await openLate(job, storage, input.partitionCount, registry),
    amendEncoder: await openAmend(job, storage, input.partitionCount, registry),
    encodeDeadLetters: await openDeadLetterEncoder(job, input.partitionCount, registry),
    ...(bounds === undefined ? {} : { bounds }),
  });
  const query = new StreamingQuery(definition, storage.clock, (error, delayMs) =>
    logger.warn(`job ${job.name} waits and tries again`, { ...errorFields(error), delayMs }),
  );
  const followers = await openFollowers(job, { ...profile, registry });
  return {
    query,
    run: (trigger, signal) =>
      whileCopying(copies, signal, () =>
        runBoth(query, followers, endsByItself(job) ? 'availableNow' : trigger, signal),
      ),
    [Symbol.asyncDispose]: async () => {
      await copies[Symbol.asyncDispose]();
      await followers[Symbol.asyncDispose]();
      await model?.scorer[Symbol.asyncDispose]();
    },
  };
}

/** Whether the job's own trigger takes what is there now, and no more. */
function endsByItself({ trigger: { kind } }: CheckedJob): boolean {
  return kind === 'availableNow' || kind === 'once';
}

/** The topic of late records and what writes it; `null` for a job that has none. */
async function openLate(
  job: CheckedJob,
  storage: Storage,
  inputPartitions: number,
  registry: SchemaRegistry,
): Promise<Encoder | null> {
  const records = lateRecords(job);
  if (records === null) return null;
  const { partitionCount } = storage.ensureTopic(records.topic, { partitionCount: inputPartitions });
  return openLateEncoder(records, partitionCount, registry);
}

/** Runs, and keeps the copies of tables up meanwhile. */
async function whileCopying(copies: TableCopies, stopped: AbortSignal, run: () => Promise<void>): Promise<void> {
  const ended = new AbortController();
  const end = (): void => ended.abort();
  stopped.addEventListener('abort', end, { once: true });
  if (stopped.aborted) end();
  const running = run().finally(end);
  await allEnded([running, copies.run(ended.signal)]);
  stopped.removeEventListener('abort', end);
}

/** The topic of amendments and what writes it; `null` for a job that has none. */
async function openAmend(
  job: CheckedJob,
  storage: Storage,
  inputPartitions: number,
  registry: SchemaRegistry,
): Promise<Encoder | null> {
  if (job.amendments === null) return null;
  const { partitionCount } = storage.ensureTopic(job.amendments.topic, { partitionCount: inputPartitions });
  return openAmendEncoder(job, partitionCount, registry);
}

async function runBoth(
  query: StreamingQuery,
  followers: OutputFollowers,
  trigger: Trigger,
  stopped: AbortSignal,
): Promise<void> {
  if (trigger === 'availableNow') {
    await query.run(trigger, stopped);
    await followers.follow(trigger, stopped);
    return;
  }
  const failed = new AbortController();
  const signal = AbortSignal.any([stopped, failed.signal]);
  const stopOther = (error: unknown): never => {
    failed.abort();
    throw error;
  };
  // Both are waited for, so that neither is cut off in its last commit.
  await allEnded([query.run(trigger, signal).catch(stopOther), followers.follow(trigger, signal).catch(stopOther)]);
}

interface Input {
  readonly source: Source;
  readonly decoder: Decoder | null;
  /** As dead letters name it. */
  readonly input: string;
  /** `null` where the source is no topic. */
  readonly topic: string | null;
  readonly partitionCount: number;
}

async function openInput(job: CheckedJob, storage: Storage, registry: SchemaRegistry): Promise<Input> {
  const { source } = job;
  switch (source.kind) {
    case 'topic': {
      const { topic } = source;
      const partitionCount = partitionsOf(storage, topic);
      const opened = openTopicInput(job, { name: topic, partitionCount }, storage, registry);
      return { ...opened, input: topic, topic, partitionCount };
    }
    case 'parquet':
    case 'csv':
    case 'jsonl':
      return {
        source: await openFileSource(job, source),
        decoder: null,
        input: source.path,
        topic: null,
        partitionCount: 1,
      };
    case 'inputs': {
      const { plan } = source;
      const counts = plan.inputs.map((input) =>
        input.source.kind === 'topic' ? partitionsOf(storage, input.source.topic) : 1,
      );
      const reader = await openInputs(plan, storage, registry);
      const partitionCount = Math.max(...counts);
      return { source: reader, decoder: reader, input: reader.name, topic: null, partitionCount };
    }
    case 'simulator':
      return {
        source: openSimulatorSource(job, source, storage.clock),
        decoder: null,
        input: 'simulator',
        topic: null,
        partitionCount: 1,
      };
  }
}

/** How many partitions a topic has that the job reads; it is made where it is not there yet. */
function partitionsOf(storage: Storage, topic: string): number {
  const known = storage.topics().find(({ name }) => name === topic);
  return (known ?? storage.ensureTopic(topic, { partitionCount: newTopicPartitions })).partitionCount;
}
