import kafka from '@confluentinc/kafka-javascript';
import { kafkaCall, kafkaFailure } from './kafka-failure.ts';
import { clientProperties, defaultConnectTimeoutMs, type KafkaSettings } from './kafka-settings.ts';

const initTimeoutMs = 20_000;

/**
 * Opens a transactional producer and closes it again: whether the brokers can have transactions (their internal topic has its replicas, the user may use
 * the id). Nothing is written.
 *
 * @param transactionalId one that no task has: a task's own producer would be fenced by it.
 * @throws {SluiceError} `KAFKA_REFUSED`; `KAFKA_UNAVAILABLE` (transient).
 */
export async function probeTransactions(settings: KafkaSettings, transactionalId: string): Promise<void> {
  const producer = new kafka.Producer({ ...clientProperties(settings), 'transactional.id': transactionalId });
  try {
    const timeout = settings.connectTimeoutMs ?? defaultConnectTimeoutMs;
    await kafkaCall<kafka.Metadata>((done) => producer.connect({ timeout }, done));
    await kafkaCall<void>((done) => producer.initTransactions(initTimeoutMs, (error) => done(error, undefined)));
  } catch (error) {
    throw kafkaFailure(`begin transactions as ${transactionalId}`, error, { transactionalId });
  } finally {
    if (producer.isConnected()) await new Promise<void>((resolve) => producer.disconnect(0, () => resolve()));
  }
}
