import type { types } from 'avsc';
import { SluiceError } from '../error.ts';
import type { FieldType, Schema } from '../record/schema.ts';
import { LONG_DIGITS } from './avro-binary.ts';
import { compileNode, READ_UNION, type AvroNode } from './avro-node.ts';
import { branchesOf, withoutLogical, type AvroSchema } from './avro-schema.ts';

/** How to read one field of a writer's records. */
export interface AvroStep {
  readonly node: AvroNode;
  /** Our fields that it gives; empty when it is skipped. */
  readonly fields: readonly number[];
}

/** A field that the writer does not know, with the reader's default in Avro's encoding. */
export interface AvroDefault {
  readonly node: AvroNode;
  readonly field: number;
  readonly data: Uint8Array;
  readonly view: DataView;
}

/** How to read records of one writer's schema: its fields in the order in which they were written, then what it has not. */
export interface AvroPlan {
  readonly steps: readonly AvroStep[];
  readonly defaults: readonly AvroDefault[];
  /** How much longer than the message's bytes a field's text may be: symbols, digits and defaults are. */
  readonly textSlackBytes: number;
}

/**
 * Plans how records of `writer`'s schema become those of `reader`'s, by Avro's resolution: fields match by name or by the reader's aliases; what the
 * writer has not is the reader's default. Called once for each writer's schema, after resolution was found to work.
 */
export function planAvro(schema: Schema, reader: AvroSchema, writer: AvroSchema): AvroPlan {
  const wanted = new Map<string, { readonly field: number; readonly type: types.Field['type'] }[]>();
  const defaults: AvroDefault[] = [];
  const written = new Set(writer.record.fields.map((field) => field.name));
  for (const readerField of reader.record.fields) {
    const field = schema.indexOf(readerField.name);
    if (field < 0) continue;
    const { type } = readerField;
    const name = [readerField.name, ...(readerField.aliases ?? [])].find((candidate) => written.has(candidate));
    if (name === undefined) {
      const data = Uint8Array.from(type.toBuffer(readerField.defaultValue()));
      defaults.push({ node: compileNode(type, type), field, data, view: new DataView(data.buffer) });
    } else {
      wanted.set(name, [...(wanted.get(name) ?? []), { field, type }]);
    }
  }
  const steps = writer.record.fields.map(({ name, type }) => {
    const targets = wanted.get(name) ?? [];
    return { node: compileNode(type, targets[0]?.type ?? null), fields: targets.map((target) => target.field) };
  });
  const read = steps.filter((step) => step.fields.length > 0);
  return {
    steps,
    defaults,
    textSlackBytes: Math.max(
      LONG_DIGITS,
      ...read.map((step) => symbolBytes(step.node)),
      ...defaults.map(({ data, node }) => Math.max(data.length, symbolBytes(node))),
    ),
  };
}

/** The longest symbol of an enum, or of an enum in a union. */
function symbolBytes(node: AvroNode): number {
  const branches = node.read === READ_UNION ? [node, ...node.parts] : [node];
  return Math.max(0, ...branches.flatMap((branch) => branch.symbols.map((symbol) => symbol.length)));
}

/** What a field of each type can be read from, of the types that a reader's field may have. */
const readableFrom: Readonly<Record<FieldType, readonly string[]>> = {
  double: ['double', 'float', 'long', 'int'],
  long: ['long', 'int'],
  boolean: ['boolean'],
  timestamp: ['long', 'int', 'string'],
  string: ['string', 'enum', 'long', 'int'],
};

/**
 * Checks that records of the reader's schema can give those of ours. Called once, when the decoder is made.
 *
 * @throws {SluiceError} `AVRO_FIELD_UNKNOWN`, `AVRO_FIELD_TYPE`.
 */
export function checkReader(schema: Schema, reader: AvroSchema): void {
  for (const { name, type } of schema.fields) {
    const field = reader.record.fields.find((candidate) => candidate.name === name);
    if (field === undefined) {
      throw new SluiceError(
        'AVRO_FIELD_UNKNOWN',
        `the field "${name}" must be one of the Avro record "${reader.name}"; got ${reader.record.fields.map((known) => known.name).join(', ')}`,
      );
    }
    const names = branchesOf(field.type).map((branch) => withoutLogical(branch).typeName);
    if (!names.some((branch) => readableFrom[type].includes(branch))) {
      throw new SluiceError(
        'AVRO_FIELD_TYPE',
        `the field "${name}" must be declared in Avro as ${readableFrom[type].join(', ')} to be a ${type}; got ${names.join(', ')}`,
      );
    }
  }
}
