import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

const openBrace = 0x7b;
const closeBrace = 0x7d;
const comma = 0x2c;
const newline = 0x0a;
/** `,"topic_partition":2147483647,"topic_offset":9007199254740991}` and the end of the line. */
const suffixBytes = 80;

/**
 * Messages that are JSON objects as rows of `JSONEachRow`, each with two fields more: `topic_partition` and `topic_offset`, where it stands in the topic. The
 * objects' bytes are copied, not parsed.
 *
 * @throws {SluiceError} `SINK_MESSAGE_INVALID` when a message is no object.
 */
export function insertBody(messages: MessageBatch): Buffer {
  const { values, messageCount } = messages;
  const bytes = (values.offsets[messageCount] ?? 0) - (values.offsets[0] ?? 0);
  const body = Buffer.allocUnsafe(bytes + messageCount * suffixBytes);
  let at = 0;
  for (let index = 0; index < messageCount; index++) {
    const partition = messages.partitions[index] ?? 0;
    const offset = messages.offsets[index] ?? 0;
    const start = skipSpace(values.data, values.offsets[index] ?? 0, 1);
    const end = skipSpace(values.data, (values.offsets[index + 1] ?? 0) - 1, -1);
    if (end <= start || values.data[start] !== openBrace || values.data[end] !== closeBrace) {
      throw new SluiceError(
        'SINK_MESSAGE_INVALID',
        `a message for ClickHouse must be a JSON object; got something else at offset ${offset} of topic ${messages.topic}, partition ${partition}`,
        { fields: { topic: messages.topic, partition, offset } },
      );
    }
    body.set(values.data.subarray(start, end), at);
    at += end - start;
    // An object without fields takes no comma.
    if (skipSpace(values.data, start + 1, 1) < end) body[at++] = comma;
    at += body.write(`"topic_partition":${partition},"topic_offset":${offset}}`, at, 'latin1');
    body[at++] = newline;
  }
  return body.subarray(0, at);
}

/** The place of the first byte that is not white space, from `at` on, forwards or backwards. */
function skipSpace(data: Uint8Array, at: number, step: 1 | -1): number {
  let place = at;
  for (let byte = data[place]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = data[place])
    place += step;
  return place;
}
