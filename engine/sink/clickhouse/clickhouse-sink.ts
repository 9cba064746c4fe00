import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ClickHouseError, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import { SluiceError } from '../../error.ts';
import type { ClickHouseAccess } from '../../clickhouse/clickhouse-access.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { AvroJson } from '../../serde/avro-json.ts';
import type { SchemaRegistry } from '../../serde/schema-registry.ts';
import type { Sink } from '../sink.ts';
import { InsertBody } from './insert-body.ts';
import { insertFailure } from './insert-failure.ts';
import { NativeBody, type InsertRows } from './native-body.ts';

/** Where to put a topic's messages. */
export interface ClickHouseSinkOptions {
  /** Not the sink's: its caller disposes of it. */
  readonly clickHouse: ClickHouseAccess;
  /**
   * A table whose columns are named as the messages' fields; fields without a column are left out, columns without a field get their
   * default. It must replace rows of the same message (ReplacingMergeTree by a position), or may hold some twice after a crash.
   */
  readonly table: string;
  /** Where the schemas of messages in Avro are; without it, messages are JSON objects. */
  readonly avro?: SchemaRegistry;
}

/**
 * Every setting that decides what an insert means, sent with each, since servers' defaults differ by version: `async_insert` is on in some and
 * answers before the rows are there; deduplication may be off; texts may be read strictly.
 */
const insertSettings: ClickHouseSettings = {
  async_insert: 0,
  insert_deduplicate: 1,
  date_time_input_format: 'best_effort',
  input_format_skip_unknown_fields: 1,
  input_format_defaults_for_omitted_fields: 1,
  input_format_null_as_default: 1,
  input_format_json_read_bools_as_numbers: 1,
  input_format_json_read_numbers_as_strings: 1,
  input_format_allow_errors_num: '0',
  input_format_allow_errors_ratio: 0,
  // One chunk is one block, so that it is there whole or not at all, and one token stands for all of it.
  max_insert_block_size: '1048576',
  min_insert_block_size_rows: '1048576',
  min_insert_block_size_bytes: '1073741824',
  max_partitions_per_insert_block: '0',
  // A chunk is small, and threads that share it cost more than they save.
  input_format_parallel_parsing: 0,
  max_threads: 1,
};

/**
 * Messages in JSON or Avro into a ClickHouse table, a chunk an insert. Exactly once for readers who read with `FINAL` (or one of the views):
 * a chunk that is sent again has the same token, made of the offsets it covers, and is dropped by the server while that remembers it; rows
 * that come again later replace themselves by their key (exactly-once, "The ClickHouse sink").
 */
export class ClickHouseSink implements Sink {
  readonly name: string;
  readonly delivery = 'exactly-once';
  readonly #options: ClickHouseSinkOptions;
  readonly #json: InsertBody = new InsertBody();
  readonly #avro: { readonly rows: NativeBody; readonly asJson: AvroJson } | null;

  constructor(options: ClickHouseSinkOptions) {
    const { table, avro } = options;
    this.name = `clickhouse ${table}`;
    this.#options = options;
    this.#avro = avro === undefined ? null : { rows: new NativeBody(table, avro), asJson: new AvroJson(avro) };
  }

  /**
   * @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE`, `CLICKHOUSE_BUSY` (transient), `CLICKHOUSE_REFUSED`, `SINK_MESSAGE_INVALID`; for messages in Avro
   *   `AVRO_UNREADABLE`, and what the registry throws.
   */
  async write(messages: MessageBatch): Promise<void> {
    if (messages.messageCount === 0) return;
    const { clickHouse, table } = this.#options;
    try {
      const client = await clickHouse.client();
      try {
        await this.#insert(client, messages);
      } catch (thrown) {
        if (this.#avro === null || !(thrown instanceof ClickHouseError || thrown instanceof SluiceError)) throw thrown;
        // The table may have been altered since it was looked at: once more, with another look. A chunk that is there already is dropped by its token.
        this.#avro.rows.forget();
        await this.#insert(client, messages);
      }
    } catch (thrown) {
      throw insertFailure(table, messages, thrown);
    }
  }

  async #insert(client: ClickHouseClient, messages: MessageBatch): Promise<void> {
    const { into, body } = await this.#rows(client, messages);
    // `insert` would make JSON of objects; these are bytes already.
    const { stream } = await client.exec({
      query: `INSERT INTO ${this.#options.table} ${into}`,
      values: Readable.from([body], { objectMode: false }),
      clickhouse_settings: { ...insertSettings, insert_deduplication_token: chunkToken(messages) },
    });
    await finished(stream.resume());
  }

  async #rows(client: ClickHouseClient, messages: MessageBatch): Promise<InsertRows> {
    const json = { into: 'FORMAT JSONEachRow' };
    if (this.#avro === null) return { ...json, body: this.#json.of(messages) };
    const rows = await this.#avro.rows.of(messages, client);
    return rows ?? { ...json, body: this.#json.of(await this.#avro.asJson.inJson(messages)) };
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

/** The topic and the offsets that a chunk covers, by partition: the same messages have the same token, and others have another. */
export function chunkToken(messages: MessageBatch): string {
  const covered = new Map<number, { from: number; to: number }>();
  for (let index = 0; index < messages.messageCount; index++) {
    const partition = messages.partitions[index] ?? 0;
    const offset = messages.offsets[index] ?? 0;
    const range = covered.get(partition);
    if (range === undefined) covered.set(partition, { from: offset, to: offset + 1 });
    else range.to = offset + 1;
  }
  const ranges = [...covered]
    .toSorted(([a], [b]) => a - b)
    .map(([partition, { from, to }]) => `${partition}:${from}-${to}`);
  return `${messages.topic}/${ranges.join(',')}`;
}
