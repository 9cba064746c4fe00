import type kafka from '@confluentinc/kafka-javascript';
import { kafkaCall, kafkaFailure, kafkaRefused } from './kafka-failure.ts';
import { defaultConnectTimeoutMs, type KafkaSettings } from './kafka-settings.ts';

const serveMs = 50;
/** How the client words, in its events, that somebody said no. Their numbers are lost on the way. */
const refusals = /authentication|ssl error/i;

interface LogEvent {
  readonly message: string;
}

/**
 * Connects a consumer and gives what the cluster says of a topic. The client itself only says that time ran out, whatever the reason; the reason, a
 * refused password or certificate, comes as an event beside it, which a consumer hears of only while it is polled.
 *
 * @throws {SluiceError} `KAFKA_REFUSED`, `TOPIC_MISSING`; `KAFKA_UNAVAILABLE` (transient) when no broker answers.
 */
export async function connectConsumer(
  consumer: kafka.KafkaConsumer,
  topic: string,
  settings: KafkaSettings,
): Promise<kafka.Metadata> {
  let isRefused = false;
  let words = '';
  consumer.on('event.error', ({ message }) => {
    isRefused ||= refusals.test(message);
  });
  consumer.on('event.log', ({ message }: LogEvent) => {
    words = message.replace(/^\[thrd:[^\]]*\]: /, '');
  });
  consumer.setDefaultConsumeTimeout(serveMs);
  const state = { isConnecting: true };
  const listening = listenWhile(state, consumer);
  const timeout = settings.connectTimeoutMs ?? defaultConnectTimeoutMs;
  try {
    return await kafkaCall<kafka.Metadata>((done) => consumer.connect({ topic, timeout }, done));
  } catch (error) {
    const action = `connect to ${settings.brokers.join(', ')}`;
    if (isRefused) throw kafkaRefused(action, words, error);
    throw kafkaFailure(words === '' ? action : `${action} (${words})`, error, { topic });
  } finally {
    state.isConnecting = false;
    await listening;
  }
}

/** Polls, with nothing assigned, for the sake of the events. */
async function listenWhile(state: { readonly isConnecting: boolean }, consumer: kafka.KafkaConsumer): Promise<void> {
  while (state.isConnecting) {
    if (consumer.isConnected()) {
      // Whatever a poll fails with now, `connect` fails with, too, or it is of no account.
      await kafkaCall<kafka.Message[]>((done) => consumer.consume(1, done)).catch(() => undefined);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
}
