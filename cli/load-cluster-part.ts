import { messageOf, SluiceError } from '../engine/error.ts';
import { loadKafkaClient } from '../engine/source/kafka/load-client.ts';

/**
 * Loads a part of the program that needs the Kafka client, once a command is given that does. The client's binary is left out by `make setup`, and every other command must work without it.
 *
 * @throws {SluiceError} `KAFKA_CLIENT_MISSING` where it is not there, with how to get it.
 */
export async function loadClusterPart<T>(load: () => Promise<T>): Promise<T> {
  try {
    await loadKafkaClient();
    return await load();
  } catch (thrown) {
    const message = messageOf(thrown);
    if (!/bindings file|kafka-javascript/.test(message)) throw thrown;
    throw new SluiceError(
      'KAFKA_CLIENT_MISSING',
      `the Kafka client must be installed for what runs on a cluster; could not load it: ${message.split('\n')[0] ?? ''}. ` +
        'Run `make setup-cluster` (npm install, where Sluice is a dependency), and try again',
      { cause: thrown },
    );
  }
}
