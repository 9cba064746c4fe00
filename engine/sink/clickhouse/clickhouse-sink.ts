import { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { ClickHouseError, type ClickHouseClient, type ClickHouseSettings } from '@clickhouse/client';
import { SluiceError } from '../../error.ts';
import type { ClickHouseAccess } from '../../clickhouse/clickhouse-access.ts';
import { sliceMessages, type MessageBatch } from '../../record/message-batch.ts';
import { AvroJson } from '../../serde/avro-json.ts';
import type { SchemaRegistry } from '../../serde/schema-registry.ts';
import { framedSchemaId, NOT_FRAMED } from '../../serde/wire-format.ts';
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
  /** Where the schemas of messages in Avro are. Messages say themselves whether they are: Confluent's framing begins with a byte that no JSON begins with. */
  readonly registry: SchemaRegistry;
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
  readonly #native: NativeBody;
  readonly #avroJson: AvroJson;

  constructor(options: ClickHouseSinkOptions) {
    const { table, registry } = options;
    this.name = `clickhouse ${table}`;
    this.#options = options;
    this.#native = new NativeBody(table, registry);
    this.#avroJson = new AvroJson(registry);
  }

  /**
   * @throws {SluiceError} `CLICKHOUSE_UNAVAILABLE`, `CLICKHOUSE_BUSY` (transient), `CLICKHOUSE_REFUSED`, `SINK_MESSAGE_INVALID`; for messages in Avro
   *   `AVRO_UNREADABLE`, and what the registry throws.
   */
  async write(messages: MessageBatch): Promise<void> {
    // A topic whose format was changed has both; each run is an insert of its own then, cut the same whenever the chunk is sent.
    for (let from = 0; from < messages.messageCount;) {
      const isAvro = isFramed(messages, from);
      let to = from + 1;
      while (to < messages.messageCount && isFramed(messages, to) === isAvro) to++;
      const run = to - from === messages.messageCount ? messages : sliceMessages(messages, from, to);
      await this.#writeRun(run, isAvro ? 'avro' : 'json');
      from = to;
    }
  }

  async #writeRun(messages: MessageBatch, format: 'avro' | 'json'): Promise<void> {
    const { clickHouse, table } = this.#options;
    try {
      const client = await clickHouse.client();
      if (format === 'json') {
        await this.#insert(client, messages, { into: jsonRows, body: this.#json.of(messages) });
        return;
      }
      try {
        await this.#insert(client, messages, await this.#rowsOfAvro(client, messages));
      } catch (thrown) {
        // What will pass (a registry that is away) is told of, and tried again by whoever feeds the sink.
        const isAnotherTable =
          thrown instanceof SluiceError ? thrown.retryable === 'permanent' : thrown instanceof ClickHouseError;
        if (!isAnotherTable) throw thrown;
        // The table may have been altered since it was looked at: once more, with another look. A chunk that is there already is dropped by its token.
        this.#native.forget();
        await this.#insert(client, messages, await this.#rowsOfAvro(client, messages));
      }
    } catch (thrown) {
      throw insertFailure(table, messages, thrown);
    }
  }

  async #insert(client: ClickHouseClient, messages: MessageBatch, { into, body }: InsertRows): Promise<void> {
    // `insert` would make JSON of objects; these are bytes already.
    const { stream } = await client.exec({
      query: `INSERT INTO ${this.#options.table} ${into}`,
      values: Readable.from([body], { objectMode: false }),
      clickhouse_settings: { ...insertSettings, insert_deduplication_token: chunkToken(messages) },
    });
    await finished(stream.resume());
  }

  async #rowsOfAvro(client: ClickHouseClient, messages: MessageBatch): Promise<InsertRows> {
    const rows = await this.#native.of(messages, client);
    return rows ?? { into: jsonRows, body: this.#json.of(await this.#avroJson.inJson(messages)) };
  }

  /** Closes it; nothing may be called afterwards. */
  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

const jsonRows = 'FORMAT JSONEachRow';

function isFramed({ values }: MessageBatch, index: number): boolean {
  return framedSchemaId(values.data, values.offsets[index] ?? 0, values.offsets[index + 1] ?? 0) !== NOT_FRAMED;
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
