import type { ClickHouseClient } from '@clickhouse/client';
import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';
import { avroFieldsOf } from '../../serde/avro-fields.ts';
import type { SchemaRegistry } from '../../serde/schema-registry.ts';
import { FRAME_BYTES, framedSchemaId, NOT_FRAMED } from '../../serde/wire-format.ts';
import { planRowBinary, type RowBinaryPlan, type TableColumn } from './row-binary-plan.ts';
import { OUT_OF_RANGE, RowBinaryWriter } from './row-binary-writer.ts';

/** Where a message stands in its topic: columns that rows get beside the messages' fields, where the table has them in these types. */
const placeColumns: readonly TableColumn[] = [
  { name: 'topic_partition', type: 'UInt32' },
  { name: 'topic_offset', type: 'UInt64' },
  { name: 'topic_timestamp', type: "DateTime64(3, 'UTC')" },
];
const placeBytes = 4 + 8 + 8;

/** Rows of a chunk, ready to be sent. */
export interface RowBinaryRows {
  /** What stands before the rows in the insert: columns and format. */
  readonly into: string;
  /** A view that is good until the next call. */
  readonly body: Buffer;
}

/** A plan for one table, with the bytes that every body begins with. */
interface TablePlan {
  readonly plan: RowBinaryPlan;
  readonly into: string;
  readonly head: Uint8Array;
}

/**
 * Makes rows of `RowBinaryWithNamesAndTypes` of messages in Avro: for the server they are a third of the work of the same rows in JSON, and here no
 * object is made of any. The names and types go with each insert, so that a table that was altered refuses it and nothing is read as something else.
 */
export class RowBinaryBody {
  readonly #table: string;
  readonly #registry: SchemaRegistry;
  readonly #writer = new RowBinaryWriter();
  #plans = new Map<number, TablePlan | null>();
  #buffer: Buffer = Buffer.alloc(0);

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
  async of(messages: MessageBatch, client: ClickHouseClient): Promise<RowBinaryRows | null> {
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
        'SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ' +
        "AND default_kind NOT IN ('ALIAS', 'MATERIALIZED')",
      query_params: { table: this.#table },
      format: 'JSONEachRow',
    });
    const table = await described.json<TableColumn>();
    const hasPlaces = placeColumns.every((place) =>
      table.some(({ name, type }) => name === place.name && type === place.type),
    );
    const plan = planRowBinary(avroFieldsOf(schema), table);
    if (plan === null || !hasPlaces) return null;
    const columns = [...plan.columns, ...placeColumns];
    const names = columns.map(({ name }) => `\`${name}\``).join(', ');
    return { plan, into: `(${names}) FORMAT RowBinaryWithNamesAndTypes`, head: headOf(columns) };
  }

  #write(messages: MessageBatch, { plan, head }: TablePlan): Buffer {
    const { values, messageCount } = messages;
    const valueBytes = (values.offsets[messageCount] ?? 0) - (values.offsets[0] ?? 0);
    const bytes = head.length + valueBytes + messageCount * (plan.spareBytes + placeBytes);
    if (this.#buffer.length < bytes) this.#buffer = Buffer.allocUnsafeSlow(bytes + (bytes >> 3));
    const writer = this.#writer;
    writer.writeTo(this.#buffer);
    this.#buffer.set(head);
    let at = head.length;
    for (let index = 0; index < messageCount; index++) {
      const start = (values.offsets[index] ?? 0) + FRAME_BYTES;
      at = writer.write(plan, values.data, start, values.offsets[index + 1] ?? 0, at);
      if (at < 0) throw unreadable(messages, index, at, writer.failedColumn);
      at = writer.writeInteger(at, messages.partitions[index] ?? 0, 4);
      at = writer.writeInteger(at, messages.offsets[index] ?? 0, 8);
      at = writer.writeInteger(at, messages.timestampsMs[index] ?? 0, 8);
    }
    return this.#buffer.subarray(0, at);
  }
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

/** How many columns, their names, their types. */
function headOf(columns: readonly TableColumn[]): Uint8Array {
  const encoder = new TextEncoder();
  const texts = [...columns.map(({ name }) => name), ...columns.map(({ type }) => type)].map((text) =>
    encoder.encode(text),
  );
  const lengths = [columns.length, ...texts.map(({ length }) => length)].map(lengthBytes);
  return Uint8Array.from([
    ...(lengths[0] ?? []),
    ...texts.flatMap((text, index) => [...(lengths[index + 1] ?? []), ...text]),
  ]);
}

/** Seven bits a byte, the lowest first. */
function lengthBytes(length: number): readonly number[] {
  return length < 0x80 ? [length] : [(length & 0x7f) | 0x80, ...lengthBytes(length >>> 7)];
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
