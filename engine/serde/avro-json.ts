import avro from 'avsc';
import type { Type } from 'avsc';
import { utf8ColumnOf } from '../record/column.ts';
import { messageOf, SluiceError } from '../error.ts';
import { messageValue, type MessageBatch } from '../record/message-batch.ts';
import { decimalText } from './avro-decimal.ts';
import type { Problem } from './field-finding.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { INSTANT_TEXT_BYTES, writeInstant } from './instant-text.ts';
import { FRAME_BYTES, framedSchemaId, NOT_FRAMED } from './wire-format.ts';

/** How many schemas are kept compiled; beyond it all are dropped and fetched again as they are met. */
const maxTypes = 1000;

/**
 * Gives messages in Avro as JSON, by the schemas that they were written with: for sinks that take JSON, and for people. Not the way of a job's own
 * input, which needs columns (`AvroDecoder`); this one makes an object of each record.
 *
 * The JSON is what `JsonEncoder` would have written of the same record: instants and dates as ISO 8601 text, whole numbers and decimals with every digit,
 * lists as lists. Bytes are base64, NaN and infinities are text, and a value of an ambiguous union stands under its branch's name.
 */
export class AvroJson {
  readonly #registry: SchemaRegistry;
  readonly #types = new Map<number, Type>();

  constructor(registry: SchemaRegistry) {
    this.#registry = registry;
  }

  /**
   * The same messages with their values in JSON.
   *
   * @throws {SluiceError} (by rejection) `AVRO_UNREADABLE` when a message is not in Avro, or of a schema that is not known; and as {@link textOf}.
   */
  async inJson(messages: MessageBatch): Promise<MessageBatch> {
    const values: string[] = [];
    for (let index = 0; index < messages.messageCount; index++) {
      const text = await this.textOf(messageValue(messages, index));
      if (typeof text === 'string') {
        values.push(text);
        continue;
      }
      const partition = messages.partitions[index] ?? 0;
      const offset = messages.offsets[index] ?? 0;
      throw new SluiceError(
        'AVRO_UNREADABLE',
        `a message of topic ${messages.topic} must be readable as Avro; got one at partition ${partition}, offset ${offset}: ${text.message}`,
        { fields: { topic: messages.topic, partition, offset } },
      );
    }
    return { ...messages, values: utf8ColumnOf(values) };
  }

  /**
   * A message's value as JSON, or why it cannot be.
   *
   * @throws {SluiceError} (by rejection) `REGISTRY_UNAVAILABLE`, transient, and what else the registry throws.
   */
  async textOf(value: Uint8Array): Promise<string | Problem> {
    if (this.#types.size > maxTypes) this.#types.clear();
    const id = framedSchemaId(value, 0, value.length);
    if (id === NOT_FRAMED) return { code: 'SCHEMA_ID_MISSING', message: 'it does not begin with the id of a schema' };
    let type = this.#types.get(id);
    if (type === undefined) {
      const schema = await this.#registry.schemaById(id);
      if (schema === null) {
        return { code: 'SCHEMA_UNKNOWN', message: `the registry (${this.#registry.name}) has no schema ${id}` };
      }
      type = readableType(schema);
      this.#types.set(id, type);
    }
    try {
      const { buffer, byteOffset, length } = value;
      return jsonOf(type.fromBuffer(Buffer.from(buffer, byteOffset + FRAME_BYTES, length - FRAME_BYTES)));
    } catch (thrown) {
      return { code: 'AVRO_MALFORMED', message: `it is no record of schema ${id}: ${messageOf(thrown)}` };
    }
  }
}

/** Text that is JSON already. */
class JsonText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A value as avsc read it, with nothing lost. */
function jsonOf(value: unknown): string {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) return `"${value}"`;
    return Object.is(value, -0) ? '-0' : String(value);
  }
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (value instanceof JsonText) return value.text;
  if (value instanceof Uint8Array) return JSON.stringify(Buffer.from(value).toString('base64'));
  if (Array.isArray(value)) return `[${value.map((item) => jsonOf(item)).join(',')}]`;
  const members = Object.entries(value).map(([name, member]) => `${JSON.stringify(name)}:${jsonOf(member)}`);
  return `{${members.join(',')}}`;
}

/** Reads a `long` as a number where that is exact, else as a bigint. */
const exactLong = avro.types.LongType.__with({
  fromBuffer: (buffer: Buffer) => {
    const value = buffer.readBigInt64LE();
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : value;
  },
  toBuffer: (value: number | bigint) => {
    const buffer = Buffer.alloc(8);
    buffer.writeBigInt64LE(BigInt(value));
    return buffer;
  },
  fromJSON: (value: number) => value,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint' || Number.isSafeInteger(value),
  compare: (a: number | bigint, b: number | bigint) => (a < b ? -1 : a > b ? 1 : 0),
});

/** A logical type whose values are read as JSON, and never written. */
abstract class ReadAsJson extends avro.types.LogicalType {
  protected override _toValue(value: unknown): unknown {
    return value instanceof JsonText ? undefined : value;
  }

  protected override _resolve(): undefined {
    return undefined;
  }
}

class MillisAsJson extends ReadAsJson {
  protected override _fromValue(value: unknown): unknown {
    return instantJson(value, 1n);
  }
}

class MicrosAsJson extends ReadAsJson {
  protected override _fromValue(value: unknown): unknown {
    return instantJson(value, 1000n);
  }
}

class DateAsJson extends ReadAsJson {
  protected override _fromValue(value: unknown): unknown {
    return typeof value === 'number' && Math.abs(value) <= 1e8
      ? new JsonText(`"${isoText(value * 86_400_000).slice(0, -'T00:00:00.000Z'.length)}"`)
      : value;
  }
}

class DecimalAsJson extends ReadAsJson {
  readonly #scale: number;

  constructor(schema: avro.Schema, options: unknown) {
    super(schema, options);
    this.#scale = (schema as { readonly scale?: number }).scale ?? 0;
  }

  protected override _fromValue(value: unknown): unknown {
    const text = value instanceof Uint8Array ? decimalText(value, 0, value.length, this.#scale) : null;
    return text === null ? value : new JsonText(text);
  }
}

const logicalTypes = {
  'timestamp-millis': MillisAsJson,
  'timestamp-micros': MicrosAsJson,
  date: DateAsJson,
  decimal: DecimalAsJson,
};

function readableType(schema: string): Type {
  return avro.Type.forSchema(JSON.parse(schema), {
    logicalTypes,
    typeHook: (part: unknown) => {
      if (part === 'long') return exactLong;
      const { type, logicalType } = part as { readonly type?: unknown; readonly logicalType?: string };
      return type === 'long' && (logicalType === undefined || !(logicalType in logicalTypes)) ? exactLong : undefined;
    },
  });
}

/** An instant of so many units a millisecond as text; as the number it is where ECMAScript's dates do not reach. */
function instantJson(value: unknown, perMs: bigint): unknown {
  if (typeof value !== 'number' && typeof value !== 'bigint') return value;
  const units = BigInt(value);
  const rest = ((units % perMs) + perMs) % perMs;
  const instantMs = Number((units - rest) / perMs);
  if (Math.abs(instantMs) > 8.64e15) return value;
  const text = isoText(instantMs);
  return new JsonText(`"${rest === 0n ? text : `${text.slice(0, -1)}${String(rest).padStart(3, '0')}Z`}"`);
}

function isoText(instantMs: number): string {
  const bytes = Buffer.alloc(INSTANT_TEXT_BYTES);
  return bytes.toString('latin1', 0, writeInstant(bytes, 0, instantMs));
}
