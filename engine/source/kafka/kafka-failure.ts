import { SluiceError, messageOf, type ErrorFields } from '../../error.ts';

/** librdkafka's numbers for errors: the protocol's own above 0, the client's below. Only those that we tell apart. */
export const kafkaCode = {
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  illegalGeneration: 22,
  unknownMemberId: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  invalidProducerEpoch: 47,
  transactionalIdAuthorizationFailed: 53,
  topicAlreadyExists: 36,
  producerFenced: 90,
  assignPartitions: -175,
  revokePartitions: -174,
  authentication: -169,
  ssl: -181,
  queueFull: -184,
  unknownTopic: -188,
  unknownPartition: -190,
  autoOffsetReset: -140,
  fenced: -144,
  maxPollExceeded: -147,
} as const;

const permanent = new Map<number, string>([
  [kafkaCode.unknownTopicOrPartition, 'TOPIC_MISSING'],
  [kafkaCode.unknownTopic, 'TOPIC_MISSING'],
  [kafkaCode.unknownPartition, 'TOPIC_MISSING'],
  [kafkaCode.topicAuthorizationFailed, 'KAFKA_REFUSED'],
  [kafkaCode.groupAuthorizationFailed, 'KAFKA_REFUSED'],
  [kafkaCode.clusterAuthorizationFailed, 'KAFKA_REFUSED'],
  [kafkaCode.transactionalIdAuthorizationFailed, 'KAFKA_REFUSED'],
  [kafkaCode.authentication, 'KAFKA_REFUSED'],
  [kafkaCode.ssl, 'KAFKA_REFUSED'],
]);

const advice: Readonly<Record<string, string>> = {
  TOPIC_MISSING: 'create it, or correct its name in the job',
  KAFKA_REFUSED: 'check the user, the password, the certificates, and the ACLs of the cluster',
};

/** The error's number; 0 where it has none. */
export function codeOf(thrown: unknown): number {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'number'
    ? thrown.code
    : typeof thrown === 'object' && thrown !== null && 'code' in thrown && typeof thrown.code === 'number'
      ? thrown.code
      : 0;
}

/** librdkafka's errors are not always `Error`s, but all have a message. */
function wordsOf(thrown: unknown): string {
  return typeof thrown === 'object' && thrown !== null && 'message' in thrown
    ? String(thrown.message)
    : messageOf(thrown);
}

/**
 * What the client failed with, as an error of the world. Whatever does not name a fault that waiting cannot mend (a missing topic, a refused
 * user) is `transient`: brokers restart, move partitions, and come back.
 *
 * @param action what was being done, as in "could not `read topic transactions`".
 */
export function kafkaFailure(action: string, thrown: unknown, fields: ErrorFields = {}): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  const number = codeOf(thrown);
  const code = permanent.get(number);
  const words = `${wordsOf(thrown)}${number === 0 ? '' : ` (${number})`}`;
  if (code !== undefined) {
    return new SluiceError(code, `could not ${action}: ${words}; ${advice[code] ?? ''}`, { fields, cause: thrown });
  }
  return new SluiceError(
    'KAFKA_UNAVAILABLE',
    `could not ${action}: ${words}; it is tried again until the brokers answer`,
    {
      retryable: 'transient',
      fields,
      cause: thrown,
    },
  );
}

/** `KAFKA_REFUSED`: the brokers do not take the user, the password or the certificate, or we do not take theirs. */
export function kafkaRefused(action: string, words: string, cause: unknown): SluiceError {
  return new SluiceError('KAFKA_REFUSED', `could not ${action}: ${words}; ${advice['KAFKA_REFUSED'] ?? ''}`, { cause });
}

/** One call of the client's callback API as a promise. Rejects with the client's own error. */
export function kafkaCall<T>(call: (done: (error: unknown, value: T) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    call((error, value) => {
      // The client gives null, undefined or an error that is not an instance of Error; the caller makes one of ours of it.
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      if (error !== null && error !== undefined) reject(error);
      else resolve(value);
    });
  });
}
