import { strict as assert } from 'node:assert';
import { messageOf, SluiceError } from '../error.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { MALFORMED, readLong } from './avro-binary.ts';
import { AvroFieldReader, findingOfOther, maxDepth } from './avro-field-reader.ts';
import { READ_UNION, type AvroNode } from './avro-node.ts';
import { planAvro, type AvroObject, type AvroPlan, type AvroStep } from './avro-plan.ts';
import { checkReader } from './avro-reader-check.ts';
import { parseAvroSchema, resolutionProblem, type AvroSchema } from './avro-schema.ts';
import { skipNode, TOO_DEEP } from './avro-skip.ts';
import type { Decoded, Decoder, DecoderOptions } from './decoder.ts';
import type { Problem } from './field-finding.ts';
import { RecordBuilder } from './record-builder.ts';
import type { SchemaRegistry } from './schema-registry.ts';
import { FRAME_BYTES, framedSchemaId, NOT_FRAMED } from './wire-format.ts';

/** What the Avro decoder must be told besides. */
export interface AvroDecoderOptions extends DecoderOptions {
  /** The schema that the job was written for; every field of `schema` must be in it. */
  readonly readerSchema: AvroSchema;
  /** Where the writers' schemas are, by the ids in the messages' frames. */
  readonly registry: SchemaRegistry;
}

/** How many writers' schemas are kept compiled from batch to batch; beyond it all are dropped and fetched again as they are met. */
const maxPlans = 1000;

/** How many schemas are fetched at the same time. */
const maxFetches = 8;

/**
 * Decodes Avro records in Confluent's framing, from bytes to columns in one pass, always by the schema they were written with and as Avro resolves it
 * with the reader's: fields added with defaults, dropped, renamed with aliases, promoted. (Reading by the reader's schema alone can be silently wrong.)
 *
 * What it accepts is what `avsc` accepts, but that text in declared fields must be UTF-8 and values to be skipped may nest at most 64 deep. `timestamp-micros` become milliseconds,
 * towards the past. A `long` of 2^53 or more is refused (`LONG_UNSAFE`), whatever number it would become, unless the field is declared `string`, and is then its digits.
 */
export class AvroDecoder implements Decoder {
  readonly #options: AvroDecoderOptions;
  readonly #builder: RecordBuilder;
  readonly #reader: AvroFieldReader;
  /** By schema id: how to read its records, or why they cannot be. */
  readonly #plans = new Map<number, AvroPlan | Problem>();
  /** Ids that the registry did not have when this batch was prepared; asked for again with the next. */
  readonly #unknown = new Set<number>();
  readonly #branch = new Float64Array(1);

  /** @throws {SluiceError} `EVENT_TIME_FIELD_INVALID`, `KEY_FIELD_UNKNOWN`, `AVRO_FIELD_UNKNOWN`, `AVRO_FIELD_TYPE`. */
  constructor(options: AvroDecoderOptions) {
    this.#options = options;
    this.#builder = new RecordBuilder(options);
    this.#reader = new AvroFieldReader(options.schema, this.#builder);
    checkReader(options.schema, options.readerSchema);
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    this.#unknown.clear();
    if (this.#plans.size > maxPlans) this.#plans.clear();
    const missing = new Set<number>();
    const { data, offsets } = messages.values;
    let last = NOT_FRAMED;
    for (let index = 0; index < messages.messageCount; index++) {
      const id = framedSchemaId(data, offsets[index] ?? 0, offsets[index + 1] ?? 0);
      if (id === last || id === NOT_FRAMED) continue;
      last = id;
      if (!this.#plans.has(id)) missing.add(id);
    }
    return missing.size === 0 ? null : this.#fetchAll([...missing]);
  }

  decode(messages: MessageBatch): Decoded {
    const builder = this.#builder;
    const { data, offsets } = messages.values;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    builder.begin(messages);
    let lastId = NOT_FRAMED;
    let plan: AvroPlan | Problem = notFramed;
    for (let index = 0; index < messages.messageCount; index++) {
      const start = offsets[index] ?? 0;
      const end = offsets[index + 1] ?? 0;
      const id = framedSchemaId(data, start, end);
      if (id !== lastId) {
        plan = this.#planOf(id);
        lastId = id;
      }
      if ('code' in plan) {
        builder.refuse(index, plan);
        continue;
      }
      builder.reserveText(end - start + plan.textSlackBytes);
      const after = this.#readRecord(plan, data, view, start + FRAME_BYTES, end);
      if (after === end) builder.accept(index);
      else builder.refuse(index, after === TOO_DEEP ? tooDeep : malformed);
    }
    return builder.finish();
  }

  /** Reads a record by its plan, from `start` on. Gives the position after it, or what {@link skipNode} gives for what is none. */
  #readRecord(plan: AvroPlan, data: Uint8Array, view: DataView, start: number, end: number): number {
    const { steps, defaults } = plan;
    let at = start;
    for (let index = 0; index < steps.length; index++) {
      const step = steps[index];
      if (step === undefined) break;
      at = this.#readStep(step, data, view, at, end);
      if (at < 0) return at;
    }
    for (const absent of defaults) this.#readStep(absent.step, absent.data, absent.view, 0, absent.data.length);
    return at;
  }

  #readStep(step: AvroStep, data: Uint8Array, view: DataView, at: number, end: number): number {
    const { node, fields, object } = step;
    if (object !== null) return this.#readObject(object, node, data, view, at, end);
    const field = fields[0];
    if (field === undefined) return skipNode(node, data, at, end, maxDepth);
    const after = this.#reader.read(node, field, data, view, at, end);
    for (let target = 1; target < fields.length; target++) {
      this.#reader.read(node, fields[target] ?? 0, data, view, at, end);
    }
    return after;
  }

  /** Reads a record in the record; all of its members are null when it is. */
  #readObject(object: AvroObject, node: AvroNode, data: Uint8Array, view: DataView, at: number, end: number): number {
    const isUnion = node.read === READ_UNION;
    const from = isUnion ? readLong(data, at, end, this.#branch, 0) : at;
    const index = isUnion ? (this.#branch[0] ?? -1) : 0;
    const branch = isUnion ? node.parts[index] : node;
    if (from < 0 || branch === undefined) return MALFORMED;
    const plan = object.plans[index] ?? null;
    if (plan !== null) return this.#readRecord(plan, data, view, from, end);
    const { found } = this.#builder;
    for (const member of object.members) found[member] = findingOfOther(branch);
    return skipNode(branch, data, from, end, maxDepth);
  }

  #planOf(id: number): AvroPlan | Problem {
    if (id === NOT_FRAMED) return notFramed;
    if (this.#unknown.has(id)) {
      return {
        code: 'SCHEMA_UNKNOWN',
        message: `the schema of the value must be in the registry; got id ${id}, which it has not`,
      };
    }
    const plan = this.#plans.get(id);
    assert(plan !== undefined, 'a batch must be prepared before it is decoded');
    return plan;
  }

  async #fetchAll(ids: readonly number[]): Promise<void> {
    const waiting = [...ids];
    const fetchInTurn = async (): Promise<void> => {
      for (let id = waiting.pop(); id !== undefined; id = waiting.pop()) await this.#fetch(id);
    };
    await Promise.all(Array.from({ length: Math.min(maxFetches, ids.length) }, fetchInTurn));
  }

  async #fetch(id: number): Promise<void> {
    try {
      const text = await this.#options.registry.schemaById(id);
      if (text === null) this.#unknown.add(id);
      else this.#plans.set(id, this.#plan(id, parseAvroSchema(text)));
    } catch (thrown) {
      // A schema that no one can use is the message's fault, and must not stop the others; a registry that is away is nobody's.
      const unusable =
        thrown instanceof SluiceError &&
        (thrown.code === 'AVRO_SCHEMA_INVALID' || thrown.code === 'REGISTRY_SCHEMA_UNSUPPORTED');
      if (!unusable) throw thrown;
      this.#plans.set(id, incompatible(id, messageOf(thrown)));
    }
  }

  #plan(id: number, writer: AvroSchema): AvroPlan | Problem {
    const { schema, readerSchema } = this.#options;
    const problem = resolutionProblem(readerSchema, writer);
    return problem === null ? planAvro(schema, readerSchema, writer) : incompatible(id, problem);
  }
}

function incompatible(id: number, why: string): Problem {
  return {
    code: 'SCHEMA_INCOMPATIBLE',
    message: `the value must be of a schema that resolves to the job's; got id ${id}: ${why}`,
  };
}

const notFramed: Problem = {
  code: 'SCHEMA_ID_MISSING',
  message: 'the value must begin with a zero byte and the id of its schema in four bytes; got something else',
};
const malformed: Problem = {
  code: 'AVRO_MALFORMED',
  message: 'the value must be one Avro record of the schema it names; got bytes that are not, or more, or fewer',
};
const tooDeep: Problem = {
  code: 'AVRO_TOO_DEEP',
  message: `the value must nest at most ${maxDepth} deep in a field that is skipped; got more`,
};
