import { strict as assert } from 'node:assert';
import { numberColumn, numberColumnOf, utf8Column, utf8ColumnOf, type Column } from '../../record/column.ts';
import type { DeadLetter } from '../../record/dead-letter.ts';
import { messageKey, type MessageBatch } from '../../record/message-batch.ts';
import { DELETED, recordBatch, selectRows, type RecordBatch } from '../../record/record-batch.ts';
import type { Schema } from '../../record/schema.ts';
import type { Decoded, Decoder } from '../../serde/decoder.ts';
import { concatRecords } from './concat-records.ts';
import { selectMessages } from './select-messages.ts';

/** What is known of a table's records beside what decodes them. */
export interface DeletionDecoderOptions {
  /** Decodes the messages that have a value. */
  readonly decoder: Decoder;
  /** Of the records that it gives. */
  readonly schema: Schema;
  /** The field whose value is the message's key: text, or a whole number in decimal digits. */
  readonly keyField: string;
  readonly eventTimeField: string;
}

/**
 * Decodes a table's topic, in which a message with a key and without a value says that the key has no value any more, as in every compacted topic (Kafka's documentation, "Log Compaction").
 * Such a message becomes a record flagged `DELETED`, at the broker's time, with its key and event time and nothing else. Wrapped around the decoder of each table that is a topic.
 */
export class DeletionDecoder implements Decoder {
  readonly #options: DeletionDecoderOptions;

  constructor(options: DeletionDecoderOptions) {
    this.#options = options;
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    const { decoder } = this.#options;
    const [, written] = parted(messages);
    return decoder.prepare(written.length === messages.messageCount ? messages : selectMessages(messages, written));
  }

  /** Besides the codes of {@link Decoder}: `KEY_INVALID` for a deletion whose key is none of the table's. */
  decode(messages: MessageBatch): Decoded {
    const { decoder } = this.#options;
    const [deletions, written] = parted(messages);
    if (deletions.length === 0) return decoder.decode(messages);
    const others = decoder.decode(selectMessages(messages, written));
    const deleted = this.#deleted(messages, deletions);
    const [records, origins] = inOrder(messages, [others.records, deleted.records]);
    const deadLetters = [...others.deadLetters, ...deleted.deadLetters];
    const placeOf = (letter: DeadLetter): number => origins.get(nameOf(letter.partition, letter.offset)) ?? 0;
    return { records, deadLetters: deadLetters.toSorted((a, b) => placeOf(a) - placeOf(b)) };
  }

  #deleted(messages: MessageBatch, deletions: Int32Array): Decoded {
    const { schema, keyField, eventTimeField } = this.#options;
    const keyType = schema.field(keyField)?.type ?? 'string';
    const isText = keyType === 'string';
    const deadLetters: DeadLetter[] = [];
    const keys: (string | number)[] = [];
    const own: number[] = [];
    for (const index of deletions) {
      const key = keyOf(messageKey(messages, index), isText);
      if (key === null) {
        deadLetters.push({
          topic: messages.topic,
          partition: messages.partitions[index] ?? 0,
          offset: messages.offsets[index] ?? 0,
          stage: 'key',
          code: 'KEY_INVALID',
          message: `a message without a value must have the key that it deletes, a ${keyType} as text; it has something else`,
          value: messageKey(messages, index),
        });
        continue;
      }
      keys.push(key);
      own.push(index);
    }
    const timesMs = Float64Array.from(own, (index) => messages.timestampsMs[index] ?? 0);
    const columns = schema.fields.map(({ name, type }): Column => {
      if (name === keyField) return columnOfKeys(keys, isText);
      if (name === eventTimeField) return numberColumn(timesMs);
      const valid = new Uint8Array(own.length);
      return type === 'string'
        ? utf8Column(new Uint8Array(0), new Int32Array(own.length + 1), valid)
        : numberColumn(new Float64Array(own.length), valid);
    });
    const records = recordBatch(schema, columns, {
      partition: Int32Array.from(own, (index) => messages.partitions[index] ?? 0),
      offset: Float64Array.from(own, (index) => messages.offsets[index] ?? 0),
      eventTimesMs: timesMs,
    });
    records.flags.fill(DELETED);
    return { records, deadLetters };
  }
}

/** The messages that delete a key, and the others: without key and value a message is nobody's deletion, and is told of as what it is. */
function parted({ messageCount, keys, values }: MessageBatch): readonly [deletions: Int32Array, written: Int32Array] {
  const deletions: number[] = [];
  const written: number[] = [];
  for (let index = 0; index < messageCount; index++) {
    const isDeletion =
      values.offsets[index] === values.offsets[index + 1] && keys.offsets[index] !== keys.offsets[index + 1];
    (isDeletion ? deletions : written).push(index);
  }
  return [Int32Array.from(deletions), Int32Array.from(written)];
}

function keyOf(bytes: Uint8Array, isText: boolean): string | number | null {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
  if (isText) return text;
  return /^-?\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? Number(text) : null;
}

function columnOfKeys(keys: readonly (string | number)[], isText: boolean): Column {
  return isText ? utf8ColumnOf(keys.map(String)) : numberColumnOf(keys.map(Number));
}

/** The records of several batches in the order of the messages that they came from. */
function inOrder(
  messages: MessageBatch,
  batches: readonly RecordBatch[],
): readonly [records: RecordBatch, places: ReadonlyMap<string, number>] {
  const places = new Map<string, number>();
  for (let index = 0; index < messages.messageCount; index++) {
    places.set(nameOf(messages.partitions[index] ?? 0, messages.offsets[index] ?? 0), index);
  }
  const all = concatRecords(batches);
  const placeOf = (row: number): number => {
    const place = places.get(nameOf(all.partitions[row] ?? 0, all.offsets[row] ?? 0));
    assert(place !== undefined, 'a record comes from a message');
    return place;
  };
  const rows = Int32Array.from({ length: all.rowCount }, (_, row) => row).sort((a, b) => placeOf(a) - placeOf(b));
  return [selectRows(all, rows), places];
}

function nameOf(partition: number, offset: number): string {
  return `${partition}/${offset}`;
}
