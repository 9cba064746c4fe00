import { SluiceError } from '../error.ts';
import { nearestName } from '../plan/nearest-name.ts';
import { getJson, putJson, type LmdbEnvironment } from './lmdb-environment.ts';
import { checkTopicName } from './topic-name.ts';

/** How long a topic keeps its messages; `null` for ever. Whole segments go, the oldest first, the newest one of a partition never. */
export interface Retention {
  /**
   * By the time at which a message was appended, not by its timestamp: a replay of old events would otherwise be deleted as it is written (what
   * Kafka calls LogAppendTime).
   */
  readonly maxAgeMs: number | null;
  /** For each partition. */
  readonly maxBytes: number | null;
}

/** What a topic is made with. */
export interface TopicOptions {
  readonly partitionCount: number;
  readonly retention?: Retention;
}

/** A topic as it is stored. */
export interface Topic {
  readonly id: number;
  readonly name: string;
  readonly partitionCount: number;
  readonly retention: Retention;
}

/** More than any machine's log needs, and few enough that a poll can look at each. */
const maxPartitionCount = 1024;
const keepForEver: Retention = { maxAgeMs: null, maxBytes: null };

/** The names and settings of the topics in one environment. Ids are never used again, so that a topic made anew does not see old messages. */
export class TopicCatalog {
  readonly #environment: LmdbEnvironment;
  /** Topics are looked up for every batch; they are never changed in place, so a copy is good until its name is missing. */
  readonly #known = new Map<string, Topic>();

  constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
  }

  /** Within a transaction. @throws {SluiceError} `TOPIC_EXISTS`, `TOPIC_NAME_INVALID`, `TOPIC_PARTITIONS_INVALID` */
  create(name: string, options: TopicOptions): Topic {
    checkTopicName(name);
    const { partitionCount, retention = keepForEver } = options;
    if (!Number.isInteger(partitionCount) || partitionCount < 1 || partitionCount > maxPartitionCount) {
      throw new SluiceError(
        'TOPIC_PARTITIONS_INVALID',
        `topic ${name} must have 1 to ${maxPartitionCount} partitions; got ${partitionCount}`,
        { fields: { topic: name } },
      );
    }
    if (this.#read(name) !== null) {
      throw new SluiceError(
        'TOPIC_EXISTS',
        `topic ${name} must not exist yet; it does. Delete it first, or use another name`,
        {
          fields: { topic: name },
        },
      );
    }
    const topic: Topic = { id: nextId(this.#environment, 'topic'), name, partitionCount, retention };
    putJson(this.#environment.catalog, ['topic', name], topic);
    return topic;
  }

  /** @throws {SluiceError} `TOPIC_PARTITIONS_DIFFER` */
  requirePartitions(topic: Topic, partitionCount: number): Topic {
    if (topic.partitionCount === partitionCount) return topic;
    throw new SluiceError(
      'TOPIC_PARTITIONS_DIFFER',
      `topic ${topic.name} must have ${partitionCount} partitions; got ${topic.partitionCount}. ` +
        `A topic's partitions cannot be changed, since keys would move: use another topic, or delete this one`,
      { fields: { topic: topic.name } },
    );
  }

  /** @throws {SluiceError} `TOPIC_MISSING`, with the nearest name that there is. */
  get(name: string): Topic {
    const found = this.find(name);
    if (found !== null) return found;
    const near = nearestName(
      name,
      this.list().map((topic) => topic.name),
    );
    throw new SluiceError(
      'TOPIC_MISSING',
      `topic ${name} must exist in ${this.#environment.directory}; it does not${near === null ? '' : ` (did you mean ${near}?)`}`,
      { fields: { topic: name } },
    );
  }

  /** The topic of that name, or `null`. Within a transaction. */
  find(name: string): Topic | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const found = this.#read(name);
    if (found !== null) this.#known.set(name, found);
    return found;
  }

  /** All topics, by name. */
  list(): readonly Topic[] {
    this.#environment.refresh();
    const topics: Topic[] = [];
    for (const { value } of this.#environment.catalog.getRange({ start: ['topic', ''], end: ['topic', '~'] })) {
      topics.push(JSON.parse(value.toString('utf8')) as Topic);
    }
    return topics;
  }

  /** Removes the name; the messages are the log's to remove. Within a transaction. */
  remove(topic: Topic): void {
    this.#known.delete(topic.name);
    this.#environment.catalog.removeSync(['topic', topic.name]);
  }

  #read(name: string): Topic | null {
    const found = getJson(this.#environment.catalog, ['topic', name]);
    return found === undefined ? null : (found as Topic);
  }
}

/** A number for a new name, from a counter in the catalog. Within a transaction. */
export function nextId(environment: LmdbEnvironment, kind: 'topic' | 'job' | 'operator'): number {
  const last = getJson(environment.catalog, ['lastId', kind]);
  const id = (typeof last === 'number' ? last : 0) + 1;
  putJson(environment.catalog, ['lastId', kind], id);
  return id;
}
