import { join } from 'node:path';
import type { OffsetRange } from '../execution/commit-log.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import type { PartitionRange } from '../source/source.ts';
import type { Clock } from '../time/clock.ts';
import { AppendSignal } from './append-signal.ts';
import { Claims } from './claims.ts';
import { LmdbEnvironment, type StorageAccess } from './lmdb-environment.ts';
import { TopicCatalog, type Topic, type TopicOptions } from './topic-catalog.ts';
import { TopicLog } from './topic-log.ts';
import { Upkeep, type Durability } from './upkeep.ts';

/** How to open a data directory's log. */
export interface StorageOptions {
  /** The data directory (`.sluice` by default, in the command); the log is its folder `log`. */
  readonly directory: string;
  readonly access: StorageAccess;
  readonly clock: Clock;
  readonly durability?: Durability;
  /** 1 s when left out. */
  readonly checkpointIntervalMs?: number;
}

/**
 * The embedded log: topics, jobs' positions and keyed state in one LMDB environment. What `--profile local` has in place of Kafka and
 * Redis. Opened once in a process for each data directory; other processes may open it too, to read and to append.
 */
export class Storage implements AsyncDisposable {
  readonly directory: string;
  readonly clock: Clock;
  /** For the classes of this room. */
  readonly environment: LmdbEnvironment;
  readonly log: TopicLog;
  readonly catalog: TopicCatalog;
  readonly claims: Claims;
  readonly appended: AppendSignal = new AppendSignal();
  readonly #upkeep: Upkeep | null;
  readonly #durability: Durability;

  private constructor(options: StorageOptions, environment: LmdbEnvironment) {
    this.directory = environment.directory;
    this.clock = options.clock;
    this.environment = environment;
    this.log = new TopicLog(environment);
    this.catalog = new TopicCatalog(environment);
    this.claims = new Claims(environment, options.clock);
    this.#durability = options.durability ?? 'interval';
    this.#upkeep =
      options.access === 'read' ? null : new Upkeep(this, options.checkpointIntervalMs ?? 1_000, this.#durability);
  }

  /**
   * @throws {SluiceError} `STORAGE_MISSING` (access `read`), `STORAGE_CORRUPT`, `STORAGE_VERSION`, `STORAGE_FULL`, `STORAGE_FAILED`,
   *   `DIRECTORY_IN_USE` (durability `every-commit`, which one process at a time can have)
   */
  static async open(options: StorageOptions): Promise<Storage> {
    const storage = new Storage(options, LmdbEnvironment.open(join(options.directory, 'log'), options.access));
    try {
      await storage.#upkeep?.begin();
    } catch (thrown) {
      await storage[Symbol.asyncDispose]();
      throw thrown;
    }
    return storage;
  }

  /** @throws {SluiceError} `TOPIC_EXISTS`, `TOPIC_NAME_INVALID`, `TOPIC_PARTITIONS_INVALID` */
  createTopic(name: string, options: TopicOptions): Topic {
    return this.environment.write(`create topic ${name}`, () => this.#make(name, options));
  }

  /**
   * The topic, made if it is not there. What a job does at its start for the topics it writes.
   *
   * @throws {SluiceError} `TOPIC_PARTITIONS_DIFFER`, and what `createTopic` throws.
   */
  ensureTopic(name: string, options: TopicOptions): Topic {
    return this.environment.write(`create topic ${name}`, () => {
      const found = this.catalog.find(name);
      return found === null ? this.#make(name, options) : this.catalog.requirePartitions(found, options.partitionCount);
    });
  }

  /** @throws {SluiceError} `TOPIC_MISSING`, with the nearest name that there is. */
  topic(name: string): Topic {
    return this.catalog.get(name);
  }

  /** All topics, by name. */
  topics(): readonly Topic[] {
    return this.catalog.list();
  }

  /** Deletes a topic and its messages. Readers of it get `TOPIC_MISSING`. */
  deleteTopic(name: string): void {
    this.environment.write(`delete topic ${name}`, () => {
      const topic = this.topic(name);
      this.log.drop(topic);
      this.catalog.remove(topic);
    });
  }

  /** What each partition holds now, as every process sees it. @throws {SluiceError} `TOPIC_MISSING` */
  ranges(topicName: string): readonly PartitionRange[] {
    this.environment.refresh();
    return this.environment.read(`look at topic ${topicName}`, () => this.log.ranges(this.topic(topicName)));
  }

  /**
   * Appends messages of their own, outside a job's commit: producers do. Resolves when they are visible to every reader, all of them
   * or none, and as durable as the log is set to be.
   *
   * @returns the offsets they were given, by partition.
   * @throws {SluiceError} `STORAGE_FULL`, `TOPIC_MISSING`, `PARTITION_MISSING`, `MESSAGE_TOO_LARGE`
   */
  async append(batch: MessageBatch): Promise<readonly OffsetRange[]> {
    const ranges = this.writeMessages(`append to topic ${batch.topic}`, () =>
      this.log.append(this.topic(batch.topic), batch, this.clock.nowMs()),
    );
    await this.settle();
    return ranges;
  }

  /** A transaction that may append: wakes readers. For the classes of this room. */
  writeMessages<T>(action: string, body: () => T): T {
    const result = this.environment.write(action, body);
    this.appended.notify();
    return result;
  }

  /** Resolves when what was committed is as durable as the log is set to be. For the classes of this room. */
  async settle(): Promise<void> {
    if (this.#durability === 'every-commit') await this.checkpoint();
  }

  /** Resolves when everything committed so far would survive the death of the machine. */
  async checkpoint(): Promise<void> {
    await this.#upkeep?.checkpoint();
  }

  /** Deletes what is beyond the topics' retention. Done by itself, once a minute; at once by whoever calls this. @returns messages deleted. */
  applyRetention(): number {
    let deleted = 0;
    for (const topic of this.topics()) {
      let count: number;
      do {
        count = this.log.applyRetention(topic, this.clock.nowMs());
        deleted += count;
      } while (count > 0);
    }
    return deleted;
  }

  #make(name: string, options: TopicOptions): Topic {
    const topic = this.catalog.create(name, options);
    this.log.begin(topic);
    return topic;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#upkeep?.end();
    await this.claims[Symbol.asyncDispose]();
    await this.environment.close();
  }
}
