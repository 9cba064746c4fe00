import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

const openBrace = 0x7b;
const closeBrace = 0x7d;
const comma = 0x2c;
const newline = 0x0a;
const zero = 0x30;
/** `,"topic_partition":2147483647,"topic_offset":9007199254740991,"topic_timestamp":"2026-01-21T12:53:20.123Z"}` and the end of the line, and some to spare. */
const suffixBytes = 124;

/**
 * Makes rows of `JSONEachRow` of messages that are JSON objects, each with three fields more: `topic_partition` and `topic_offset`, where it stands in the
 * topic, and `topic_timestamp`, its timestamp. The objects' bytes are copied, not parsed. Keeps one buffer, as large as the largest chunk: fresh memory for each would cost as much as the copy.
 */
export class InsertBody {
  #buffer: Buffer = Buffer.alloc(0);

  /**
   * @returns a view that is good until the next call.
   * @throws {SluiceError} `SINK_MESSAGE_INVALID` when a message is no object.
   */
  of(messages: MessageBatch): Buffer {
    const { values, messageCount } = messages;
    const bytes = (values.offsets[messageCount] ?? 0) - (values.offsets[0] ?? 0) + messageCount * suffixBytes;
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(bytes + (bytes >> 3));
    const body = this.#buffer;
    let at = 0;
    let place: Buffer = Buffer.alloc(0);
    let placedPartition = -1;
    let stamp: Buffer = Buffer.alloc(0);
    let stampedMs = NaN;
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
      if (partition !== placedPartition) {
        place = Buffer.from(`"topic_partition":${partition},"topic_offset":`, 'latin1');
        placedPartition = partition;
      }
      const timestampMs = messages.timestampsMs[index] ?? 0;
      if (timestampMs !== stampedMs) {
        stamp = Buffer.from(`,"topic_timestamp":"${new Date(timestampMs).toISOString()}"`, 'latin1');
        stampedMs = timestampMs;
      }
      body.set(values.data.subarray(start, end), at);
      at += end - start;
      // An object without fields takes no comma.
      if (skipSpace(values.data, start + 1, 1) < end) body[at++] = comma;
      body.set(place, at);
      at = writeInteger(body, at + place.length, offset);
      body.set(stamp, at);
      at += stamp.length;
      body[at++] = closeBrace;
      body[at++] = newline;
    }
    return body.subarray(0, at);
  }
}

/** The place of the first byte that is not white space, from `at` on, forwards or backwards. */
function skipSpace(data: Uint8Array, at: number, step: 1 | -1): number {
  let place = at;
  for (let byte = data[place]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; byte = data[place]) {
    place += step;
  }
  return place;
}

/** Writes a whole number that is not negative; where it ends. */
function writeInteger(body: Buffer, at: number, value: number): number {
  let end = at + 1;
  for (let rest = Math.floor(value / 10); rest > 0; rest = Math.floor(rest / 10)) end += 1;
  let rest = value;
  for (let place = end - 1; place >= at; place--) {
    const shorter = Math.floor(rest / 10);
    body[place] = zero + (rest - shorter * 10);
    rest = shorter;
  }
  return end;
}
