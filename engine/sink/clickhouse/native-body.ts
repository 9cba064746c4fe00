import { strict as assert } from 'node:assert';
import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { avroFieldsOf } from '../../serde/avro-fields.ts';
import type { SchemaRegistry } from '../../serde/schema-registry.ts';
import { FRAME_BYTES, framedSchemaId, NOT_FRAMED } from '../../serde/wire-format.ts';
import { NativeColumn } from './native-column.ts';
import { lengthBytes, lengthPrefixed, planNative, type TableColumn } from './native-plan.ts';
import { NativeWriter, OUT_OF_RANGE } from './native-writer.ts';

/** Where a message stands in its topic: columns that rows get beside the messages' fields, where the table has them in these types. */
const placeColumns: readonly TableColumn[] = [
  { name: 'topic_partition', type: 'UInt32' },
  { name: 'topic_offset', type: 'UInt64' },
  { name: 'topic_timestamp', type: "DateTime64(3, 'UTC')" },
];
/** Rows of a chunk, ready to be sent. */
export interface InsertRows {
  /** What stands before the rows in the insert: columns and format. */
  readonly into: string;
  /** A view that is good until the next call. */
  readonly body: Buffer;
}

/** How messages of one schema go into the table. */
interface TablePlan {
  readonly into: string;
  readonly names: readonly string[];
  readonly columns: readonly NativeColumn[];
  readonly writer: NativeWriter;
}

/**
 * Makes a block of ClickHouse's `Native` format of messages in Avro: columns, as the server keeps them, for half the work of the same rows in JSON, and here no
 * object is made of any. Names and types stand in the block, so that a table that was altered casts them or refuses, and nothing is read as
 * something else.
 */
export class NativeBody {
  readonly #table: string;
  readonly #registry: SchemaRegistry;
  #plans: Map<number, TablePlan | null> = new Map();
  #buffer: Buffer = Buffer.alloc(0);

  /** @param table `table`, or `database.table`. */
  constructor(table: string, registry: SchemaRegistry) {
    this.#table = table;
    this.#registry = registry;
  }

  /** Forgets what the table looks like: after an insert that it refused. */
  forget(): void {
    this.#plans = new Map();
  }

  /**
   * @returns `null` for messages that must go as JSON: of several schemas, of one that is not known, or of types that have no plan.
   * @throws {SluiceError} `SINK_MESSAGE_INVALID`; and what the registry throws.
   */
  async of(messages: MessageBatch, client: ClickHouseClient): Promise<InsertRows | null> {
    const schemaId = onlySchemaId(messages);
    if (schemaId === null) return null;
    let planned = this.#plans.get(schemaId);
    if (planned === undefined) {
      planned = await this.#planFor(schemaId, client);
      this.#plans.set(schemaId, planned);
    }
    return planned === null ? null : { into: planned.into, body: this.#write(messages, planned) };
  }

  async #planFor(schemaId: number, client: ClickHouseClient): Promise<TablePlan | null> {
    const schema = await this.#registry.schemaById(schemaId);
    if (schema === null) return null;
    const described = await client.query({
      query:
        "SELECT name, type FROM system.columns WHERE database = if({database:String} = '', currentDatabase(), {database:String}) " +
        "AND table = {table:String} AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')",
      query_params: placeOf(this.#table),
      format: 'JSONEachRow',
    });
    const table = await described.json<TableColumn>();
    const hasPlaces = placeColumns.every((place) =>
      table.some(({ name, type }) => name === place.name && type === place.type),
    );
    const plan = planNative(avroFieldsOf(schema), table);
    if (plan === null || !hasPlaces) return null;
    const columns = plan.columns.map((column, place) => {
      const step = plan.steps.find((candidate) => candidate.column === place);
      assert(step !== undefined, 'a column that is written has a step');
      return new NativeColumn(column, step);
    });
    const names = [...plan.columns, ...placeColumns].map(({ name }) => name);
    const into = `(${names.map((name) => `\`${name}\``).join(', ')}) FORMAT Native`;
    return { into, names, columns, writer: new NativeWriter(plan.steps, columns) };
  }

  #write(messages: MessageBatch, { names, columns, writer }: TablePlan): Buffer {
    const { values, messageCount } = messages;
    for (const column of columns) column.begin(messageCount);
    writer.readFrom(values.data);
    for (let index = 0; index < messageCount; index++) {
      const start = (values.offsets[index] ?? 0) + FRAME_BYTES;
      const outcome = writer.append(start, values.offsets[index + 1] ?? 0);
      if (outcome < 0) throw unreadable(messages, index, outcome, names[writer.failedColumn] ?? 'a field without one');
    }
    const head = Uint8Array.from([...lengthBytes(names.length), ...lengthBytes(messageCount)]);
    const parts = [head, ...columns.flatMap((column) => column.parts(messageCount)), ...placeParts(messages)];
    return this.#joined(parts);
  }

  /** The parts in one buffer, which is kept: fresh memory for each chunk would cost as much as the copy. */
  #joined(parts: readonly Uint8Array[]): Buffer {
    const bytes = parts.reduce((sum, { length }) => sum + length, 0);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(bytes + (bytes >> 3));
    let at = 0;
    for (const part of parts) {
      this.#buffer.set(part, at);
      at += part.length;
    }
    return this.#buffer.subarray(0, at);
  }
}

/** The parts of `database.table`; no database for a table of the connection's own. */
function placeOf(name: string): { readonly database: string; readonly table: string } {
  const dot = name.indexOf('.');
  return { database: name.slice(0, Math.max(0, dot)), table: name.slice(dot + 1) };
}

/** Where each message stands, as columns of a block. */
function placeParts({ messageCount, partitions, offsets, timestampsMs }: MessageBatch): readonly Uint8Array[] {
  const values = [
    new Uint8Array(Uint32Array.from(partitions.subarray(0, messageCount)).buffer),
    new Uint8Array(BigInt64Array.from(offsets.subarray(0, messageCount), BigInt).buffer),
    new Uint8Array(BigInt64Array.from(timestampsMs.subarray(0, messageCount), BigInt).buffer),
  ];
  return placeColumns.flatMap(({ name, type }, place) => [
    Uint8Array.from([...lengthPrefixed(name), ...lengthPrefixed(type)]),
    values[place] ?? new Uint8Array(0),
  ]);
}

/** The schema that all the messages were written with; `null` when there are several, or a message that says none. */
function onlySchemaId({ values, messageCount }: MessageBatch): number | null {
  const idOf = (index: number): number =>
    framedSchemaId(values.data, values.offsets[index] ?? 0, values.offsets[index + 1] ?? 0);
  const first = idOf(0);
  if (first === NOT_FRAMED) return null;
  for (let index = 1; index < messageCount; index++) if (idOf(index) !== first) return null;
  return first;
}

function unreadable(messages: MessageBatch, index: number, outcome: number, column: string): SluiceError {
  const partition = messages.partitions[index] ?? 0;
  const offset = messages.offsets[index] ?? 0;
  const got =
    outcome === OUT_OF_RANGE
      ? `a number that column ${column} cannot hold`
      : `bytes that are no such record (at ${column})`;
  return new SluiceError(
    'SINK_MESSAGE_INVALID',
    `a message for ClickHouse must be a record of its Avro schema, and fit the table; got ${got} at offset ${offset} of topic ${messages.topic}, partition ${partition}`,
    { fields: { topic: messages.topic, partition, offset, column } },
  );
}
