/**
 * Loads the Kafka client, and nothing else: for whoever is about to load what uses it, and wants to know before whether it is there. Where it is missing, Node 20 reports a module that imports it
 * twice, to the caller and as an error that nobody caught, which ends the process; of this import only the caller hears.
 *
 * @throws what Node throws where the client's binary is not there.
 */
export async function loadKafkaClient(): Promise<void> {
  await import('@confluentinc/kafka-javascript');
}
