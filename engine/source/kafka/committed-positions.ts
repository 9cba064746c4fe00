import kafka from '@confluentinc/kafka-javascript';
import { connectConsumer } from './connect-consumer.ts';
import type { CommittedPosition } from './consumer-group.ts';
import { kafkaCall, kafkaFailure } from './kafka-failure.ts';
import { clientProperties, type KafkaSettings } from './kafka-settings.ts';

const timeoutMs = 10_000;

/**
 * The committed positions of a group in a topic, by partition, without joining it: for checks beside workers that may be running. Those that were never committed
 * are not among them; what an open transaction would commit is not waited for.
 *
 * (By a consumer that subscribes to nothing: the admin client's `listConsumerGroupOffsets` ends the process where a partition has no position.)
 *
 * @throws {SluiceError} `KAFKA_REFUSED`; `KAFKA_UNAVAILABLE` (transient).
 */
export async function committedPositions(
  settings: KafkaSettings,
  groupId: string,
  topic: string,
  partitionCount: number,
): Promise<ReadonlyMap<number, CommittedPosition>> {
  const consumer = new kafka.KafkaConsumer(
    {
      ...clientProperties(settings),
      'group.id': groupId,
      'enable.auto.commit': false,
      'isolation.level': 'read_uncommitted',
    },
    {},
  );
  try {
    await connectConsumer(consumer, topic, settings);
    const partitions = Array.from({ length: partitionCount }, (_, partition) => ({ topic, partition }));
    const positions = await kafkaCall<kafka.TopicPartitionOffsetAndMetadata[]>((done) =>
      consumer.committed(partitions, timeoutMs, done),
    ).catch((error: unknown) => {
      throw kafkaFailure(`ask for the positions of group ${groupId}`, error, { group: groupId, topic });
    });
    return new Map(
      positions.flatMap(({ partition, offset, metadata }) =>
        offset === undefined || offset < 0 ? [] : [[partition, { offset, metadata: metadata ?? '' }] as const],
      ),
    );
  } finally {
    if (consumer.isConnected()) await kafkaCall<kafka.ClientMetrics>((done) => consumer.disconnect(done));
  }
}
