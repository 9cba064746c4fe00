import { SluiceError } from '../error.ts';

/** Kafka's limit, which leaves room in a file name for what its broker appends. */
const maxNameLength = 249;
const namePattern = /^[a-zA-Z0-9._-]+$/;

/**
 * Checks a topic's name by Kafka's rules (org.apache.kafka.common.internals.Topic), so that a job's topics can move to a broker as
 * they are: letters, digits, `.`, `_` and `-`, at most 249 of them, and not `.` or `..`.
 *
 * @throws {SluiceError} `TOPIC_NAME_INVALID`
 */
export function checkTopicName(name: string): void {
  if (name !== '.' && name !== '..' && name.length <= maxNameLength && namePattern.test(name)) return;
  throw new SluiceError(
    'TOPIC_NAME_INVALID',
    `a topic's name must be 1 to ${maxNameLength} of a-z, A-Z, 0-9, ".", "_" and "-" (and not "." or ".."); got "${name}"`,
    { fields: { topic: name.slice(0, maxNameLength) } },
  );
}
