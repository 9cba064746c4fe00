import { SluiceError } from '../../error.ts';
import { messageKey, messageValue, type MessageBatch } from '../../record/message-batch.ts';
import { keyPartitioner } from '../../serde/partitioner.ts';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';

/** A table whose rows are made versions of, in a topic of JSON. */
export interface VersionedTable {
  /** As the job calls it, for errors. */
  readonly name: string;
  readonly topic: string;
  readonly partitionCount: number;
  /** Of every row; each must be in it, null or not. */
  readonly fields: readonly string[];
  /** The field whose value keys the topic. */
  readonly key: string;
  /** The field that says since when a row is as it is. */
  readonly eventTimeField: string;
}

/** Messages that bring a topic up to a table. */
export interface TableChanges {
  /** `null` where nothing has changed. */
  readonly messages: MessageBatch | null;
  readonly changed: number;
  readonly deleted: number;
  /** To be called when the messages are in the topic. */
  readonly done: () => void;
}

/**
 * What a topic says of a table, and what it must be told so that it says what the table does: a message for each row that is new or has changed, and one without a value for each key that is gone.
 * Only the event time may differ without a row counting as changed, so that a query may say `now()` there.
 *
 *     learn(messages of the topic)* → ( changesTo(rows) → append → done )*
 *
 * All rows are in memory, as JSON.
 */
export class TableVersions {
  readonly #table: VersionedTable;
  /** By key, all of a row but its event time. */
  readonly #known = new Map<string, string>();

  constructor(table: VersionedTable) {
    this.#table = table;
  }

  /** How many keys have a value. */
  get size(): number {
    return this.#known.size;
  }

  /** Takes in what is in the topic already, in its order. What is not JSON is somebody else's, and says nothing. */
  learn(messages: MessageBatch): void {
    for (let index = 0; index < messages.messageCount; index++) {
      const key = Buffer.from(messageKey(messages, index)).toString('utf8');
      const value = Buffer.from(messageValue(messages, index)).toString('utf8');
      const row = value === '' ? null : parsed(value);
      if (row === null) this.#known.delete(key);
      else this.#known.set(key, this.#comparable(row));
    }
  }

  /**
   * What is to be written so that the topic says what these rows do.
   *
   * @throws {SluiceError} `TABLE_ROWS_WRONG` where a row lacks a field, or its key, or two have one key.
   */
  changesTo(rows: readonly Readonly<Record<string, unknown>>[]): TableChanges {
    const next = new Map<string, string>();
    const keys: string[] = [];
    const values: string[] = [];
    for (const [index, row] of rows.entries()) {
      const key = this.#keyOf(row, index);
      if (next.has(key)) {
        throw this.#wrong('one row for each key', `row ${index + 1} has the key of a row before it`);
      }
      const comparable = this.#comparable(row);
      next.set(key, comparable);
      if (this.#known.get(key) === comparable) continue;
      keys.push(key);
      values.push(JSON.stringify(Object.fromEntries(this.#table.fields.map((field) => [field, row[field]]))));
    }
    const changed = keys.length;
    for (const key of this.#known.keys()) {
      if (next.has(key)) continue;
      keys.push(key);
      values.push('');
    }
    return {
      messages: keys.length === 0 ? null : this.#messagesOf(keys, values),
      changed,
      deleted: keys.length - changed,
      done: () => {
        this.#known.clear();
        for (const [key, comparable] of next) this.#known.set(key, comparable);
      },
    };
  }

  #keyOf(row: Readonly<Record<string, unknown>>, index: number): string {
    const { key, fields } = this.#table;
    const missing = fields.find((field) => !(field in row));
    if (missing !== undefined) {
      throw this.#wrong(`the field ${missing}`, `its rows have ${Object.keys(row).join(', ')}`);
    }
    const value = row[key];
    if ((typeof value === 'string' && value !== '') || typeof value === 'number') return String(value);
    throw this.#wrong(
      `a text or a whole number as ${key} in each row`,
      `row ${index + 1} has ${value === null ? 'null' : 'something else'}`,
    );
  }

  #comparable(row: Readonly<Record<string, unknown>>): string {
    const { fields, eventTimeField } = this.#table;
    return JSON.stringify(fields.map((field) => (field === eventTimeField ? null : (row[field] ?? null))));
  }

  #messagesOf(keys: readonly string[], values: readonly string[]): MessageBatch {
    const { topic, partitionCount } = this.#table;
    const messages = messageBatchOf(
      topic,
      keys.map((key, index) => ({ key, value: values[index] ?? '' })),
    );
    const partitionOf = keyPartitioner(partitionCount);
    return { ...messages, partitions: Int32Array.from(keys, (_, index) => partitionOf(messages.keys, index, 0)) };
  }

  #wrong(expected: string, got: string): SluiceError {
    const { name } = this.#table;
    return new SluiceError('TABLE_ROWS_WRONG', `the query of table ${name} must give ${expected}; ${got}`, {
      fields: { table: name },
    });
  }
}

function parsed(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}
