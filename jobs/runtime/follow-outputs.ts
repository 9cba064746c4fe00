import { pathToFileURL } from 'node:url';
import { EmbeddedClickHouse } from '../../engine/clickhouse/embedded-clickhouse.ts';
import { applyMigrations, readMigrations } from '../../engine/clickhouse/migrations.ts';
import type { Trigger } from '../../engine/execution/streaming-query.ts';
import { followTopic, type FollowerProgress } from '../../engine/execution/follower.ts';
import { errorFields, type Logger } from '../../engine/observability/logger.ts';
import { packageFile } from '../../engine/package-file.ts';
import { SlabPool } from '../../engine/record/slab-pool.ts';
import { ThreadedClickHouseSink } from '../../engine/sink/clickhouse/threaded-clickhouse-sink.ts';
import { ConsoleSink } from '../../engine/sink/console/console-sink.ts';
import { openJsonLinesSink } from '../../engine/sink/file/json-lines-sink.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Sink } from '../../engine/sink/sink.ts';
import { boundToNow } from '../../engine/source/bounded-source.ts';
import { EmbeddedPositions } from '../../engine/storage/embedded-positions.ts';
import type { Storage } from '../../engine/storage/storage.ts';
import type { CheckedJob, MessageFormat, SinkDefinition } from '../checked-job.ts';
import { embeddedRegistrySettings } from './embedded-registry.ts';
import { jsonOfAvro } from './json-of-avro.ts';
import { outputTopics } from './open-outputs.ts';
import { openTopicSource } from './open-source.ts';

/** The sinks of a job that follow its first output topic, opened, and not running yet. */
export interface OutputFollowers extends AsyncDisposable {
  /**
   * `realtime`: follows until the signal. `availableNow`: writes what is in the topic now, then resolves; to be called when the query has ended.
   *
   * @throws {SluiceError} what a sink rejects with that waiting cannot mend.
   */
  follow(trigger: Trigger, signal: AbortSignal): Promise<void>;
}

/** What followers need of the profile. */
export interface FollowerProfile {
  readonly storage: Storage;
  /** The data directory; the embedded ClickHouse has a folder in it. */
  readonly directory: string;
  /** Where the schemas of topics in Avro are. */
  readonly registry: SchemaRegistry;
  readonly logger: Logger;
  /** Told of each chunk that a sink has taken. */
  readonly onProgress?: ((sink: string, progress: FollowerProgress) => void) | undefined;
}

/** Rows of a chunk at most, while there are many to catch up with: each insert is flushed to the disk, which costs the same however many rows it has. */
const chunkRows = 50_000;

interface OpenSink {
  readonly sink: Sink;
  readonly close: () => Promise<void>;
}

/**
 * Opens the sinks beside a job's topics: ClickHouse (with its tables), files, the console. Each reads the first output topic with a position of its own, so
 * that one that is away, or slow, costs lag and nothing else.
 */
export async function openFollowers(job: CheckedJob, profile: FollowerProfile): Promise<OutputFollowers> {
  const [topic] = outputTopics(job);
  const opened: OpenSink[] = [];
  const close = async (): Promise<void> => {
    for (const sink of opened.toReversed()) await sink.close();
  };
  try {
    for (const definition of topic === undefined ? [] : job.sinks) {
      const sink = await openSink(definition, topic?.format ?? 'json', profile);
      if (sink !== null) opened.push(sink);
    }
  } catch (thrown) {
    await close();
    throw thrown;
  }
  return {
    follow: async (trigger, signal) => {
      if (topic === undefined) return;
      await Promise.all(opened.map(({ sink }) => followOne(job, topic.topic, sink, profile, trigger, signal)));
    },
    [Symbol.asyncDispose]: close,
  };
}

async function openSink(
  definition: SinkDefinition,
  format: MessageFormat,
  profile: FollowerProfile,
): Promise<OpenSink | null> {
  switch (definition.kind) {
    case 'topic':
      return null;
    case 'clickhouse': {
      const clickHouse = await EmbeddedClickHouse.open({ directory: profile.directory, clock: profile.storage.clock });
      try {
        const migrations = await readMigrations(pathToFileURL(`${packageFile('schemas/clickhouse')}/`));
        await applyMigrations(await clickHouse.client(), migrations);
      } catch (thrown) {
        await clickHouse[Symbol.asyncDispose]();
        throw thrown;
      }
      const registry = embeddedRegistrySettings(profile.directory);
      const sink = new ThreadedClickHouseSink({ clickHouse, table: definition.table, registry });
      return {
        sink,
        close: async () => {
          await sink[Symbol.asyncDispose]();
          await clickHouse[Symbol.asyncDispose]();
        },
      };
    }
    case 'jsonl':
      return taking(format, await openJsonLinesSink(definition.path), profile.registry);
    case 'console':
      return taking(format, new ConsoleSink({ output: process.stdout }), profile.registry);
  }
}

/** A sink that takes JSON, as one for the topic's format. */
function taking(format: MessageFormat, sink: Sink, registry: SchemaRegistry): OpenSink {
  const close = async (): Promise<void> => sink[Symbol.asyncDispose]();
  return { sink: format === 'avro' ? jsonOfAvro(sink, registry) : sink, close };
}

async function followOne(
  job: CheckedJob,
  topic: string,
  sink: Sink,
  { storage, logger, onProgress }: FollowerProfile,
  trigger: Trigger,
  signal: AbortSignal,
): Promise<void> {
  const slabs = new SlabPool();
  const live = openTopicSource(storage, topic, slabs);
  await using source = trigger === 'availableNow' ? await boundToNow(live) : live;
  await using positions = new EmbeddedPositions(storage, `${job.name} ${sink.name}`, topic);
  await followTopic({
    source,
    sink,
    positions,
    clock: storage.clock,
    chunkRows,
    slabs,
    signal,
    onProgress: (progress) => onProgress?.(sink.name, progress),
    onRetry: (error, delayMs) =>
      logger.warn(`${sink.name} is away; its messages wait`, { ...errorFields(error), delayMs }),
  });
}
