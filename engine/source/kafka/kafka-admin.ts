import kafka from '@confluentinc/kafka-javascript';
import { codeOf, kafkaCall, kafkaCode, kafkaFailure } from './kafka-failure.ts';
import { clientProperties, type KafkaSettings } from './kafka-settings.ts';

const timeoutMs = 30_000;

/** A topic to create. */
export interface NewKafkaTopic {
  readonly topic: string;
  readonly partitions: number;
  /** The broker's default where absent. */
  readonly replicas?: number;
  /** The topic's own settings, by Kafka's names: `{ 'retention.ms': '86400000' }`. */
  readonly settings?: Readonly<Record<string, string>>;
}

/** What can be asked of the cluster besides records: for the checks before a job starts, `sluice topic`, and tests. */
export class KafkaAdmin implements Disposable {
  readonly #admin: kafka.IAdminClient;

  constructor(settings: KafkaSettings) {
    this.#admin = kafka.AdminClient.create(clientProperties(settings));
  }

  /** How many partitions a topic has; `null` where there is no such topic. */
  async partitionCount(topic: string): Promise<number | null> {
    const action = `describe topic ${topic}`;
    try {
      const [description] = await kafkaCall<kafka.TopicDescription[]>((done) =>
        this.#admin.describeTopics([topic], { timeout: timeoutMs }, done),
      );
      if (description?.error !== undefined && codeOf(description.error) === kafkaCode.unknownTopicOrPartition)
        return null;
      if (description?.error !== undefined) throw kafkaFailure(action, description.error, { topic });
      return description?.partitions.length ?? null;
    } catch (error) {
      throw kafkaFailure(action, error, { topic });
    }
  }

  /** Where the next record of a partition goes, those of open transactions counted: beyond what a committed reader can reach while there are some. */
  async endOffset(topic: string, partition: number): Promise<number> {
    try {
      const [listed] = await kafkaCall<kafka.ListOffsetsResult[]>((done) =>
        this.#admin.listOffsets(
          [{ topic, partition, offset: kafka.OffsetSpec.LATEST }],
          { timeout: timeoutMs, isolationLevel: kafka.IsolationLevel.READ_UNCOMMITTED },
          done,
        ),
      );
      if (listed?.error !== undefined) {
        throw kafkaFailure(`ask for the end of ${topic}-${partition}`, listed.error, { topic, partition });
      }
      return listed?.offset ?? 0;
    } catch (error) {
      throw kafkaFailure(`ask for the end of ${topic}-${partition}`, error, { topic, partition });
    }
  }

  /** Which offsets each partition of a topic holds now: `[start, end)`, records of open transactions counted. */
  async heldOffsets(
    topic: string,
    partitionCount: number,
  ): Promise<readonly { readonly start: number; readonly end: number }[]> {
    const partitions = Array.from({ length: partitionCount }, (_, partition) => partition);
    const listed = async (offset: kafka.OffsetSpec): Promise<ReadonlyMap<number, number>> => {
      const results = await kafkaCall<kafka.ListOffsetsResult[]>((done) =>
        this.#admin.listOffsets(
          partitions.map((partition) => ({ topic, partition, offset })),
          { timeout: timeoutMs, isolationLevel: kafka.IsolationLevel.READ_UNCOMMITTED },
          done,
        ),
      );
      for (const { error } of results)
        if (error !== undefined) throw kafkaFailure(`ask for the offsets of topic ${topic}`, error, { topic });
      return new Map(results.map(({ partition, offset: found }) => [partition, found]));
    };
    try {
      const [starts, ends] = [await listed(kafka.OffsetSpec.EARLIEST), await listed(kafka.OffsetSpec.LATEST)];
      return partitions.map((partition) => ({ start: starts.get(partition) ?? 0, end: ends.get(partition) ?? 0 }));
    } catch (error) {
      throw kafkaFailure(`ask for the offsets of topic ${topic}`, error, { topic });
    }
  }

  /** Creates a topic; says which of two came first where another process creates it, too. */
  async createTopic({ topic, partitions, replicas, settings }: NewKafkaTopic): Promise<'created' | 'existed'> {
    try {
      await kafkaCall<void>((done) =>
        this.#admin.createTopic(
          { topic, num_partitions: partitions, replication_factor: replicas ?? -1, config: { ...settings } },
          timeoutMs,
          (error) => done(error, undefined),
        ),
      );
      return 'created';
    } catch (error) {
      if (codeOf(error) === kafkaCode.topicAlreadyExists) return 'existed';
      throw kafkaFailure(`create topic ${topic}`, error, { topic });
    }
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.dispose](): void {
    this.#admin.disconnect();
  }
}
