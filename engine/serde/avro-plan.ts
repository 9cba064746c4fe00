import type { Type, types } from 'avsc';
import type { Schema } from '../record/schema.ts';
import { LONG_DIGITS } from './avro-binary.ts';
import { decimalTextBytes } from './avro-decimal.ts';
import { compileNode, READ_UNION, type AvroNode } from './avro-node.ts';
import { branchesOf, recordIn, type AvroSchema } from './avro-schema.ts';
import { fieldPath } from './field-path.ts';

/** How to read one field of a writer's records: into our fields, as an object of them, or, with neither, not at all. */
export interface AvroStep {
  readonly node: AvroNode;
  /** Our fields that it gives; more than one where the reader's aliases say so. */
  readonly fields: readonly number[];
  /** What it holds, where our schema has members of it; else `null`. */
  readonly object: AvroObject | null;
}

/** How to read a record within the record. */
export interface AvroObject {
  /** Every field of ours in it, for when it is null. */
  readonly members: readonly number[];
  /** By the branches of the writer's union (or its only type): how to read each; `null` for one that is no record. */
  readonly plans: readonly (AvroPlan | null)[];
}

/** A field that the writer does not know, with the reader's default in Avro's encoding. */
export interface AvroDefault {
  readonly step: AvroStep;
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
  return planRecord(schema, null, reader.record, writer.record);
}

/** @param owner the field of the message that this record is; `null` for the message itself. */
function planRecord(
  schema: Schema,
  owner: string | null,
  reader: types.RecordType,
  writer: types.RecordType,
): AvroPlan {
  const written = new Set(writer.fields.map((field) => field.name));
  const readersOf = new Map<string, types.Field[]>();
  const defaults: AvroDefault[] = [];
  for (const field of reader.fields) {
    const name = [field.name, ...(field.aliases ?? [])].find((candidate) => written.has(candidate));
    if (name !== undefined) {
      readersOf.set(name, [...(readersOf.get(name) ?? []), field]);
      continue;
    }
    const step = stepOf(schema, owner, [field], field.type);
    if (step.fields.length === 0 && step.object === null) continue;
    const data = Uint8Array.from(field.type.toBuffer(field.defaultValue()));
    defaults.push({ step, data, view: new DataView(data.buffer) });
  }
  const steps = writer.fields.map(({ name, type }) => stepOf(schema, owner, readersOf.get(name) ?? [], type));
  return {
    steps,
    defaults,
    textSlackBytes: Math.max(
      LONG_DIGITS,
      ...steps.map((step) => slackOf(step)),
      ...defaults.map(({ data, step }) => data.length + slackOf(step)),
    ),
  };
}

function stepOf(schema: Schema, owner: string | null, readers: readonly types.Field[], writer: Type): AvroStep {
  const fields = readers
    .map(({ name }) => schema.indexOf(owner === null ? name : `${owner}.${name}`))
    .filter((field) => field >= 0);
  const node = compileNode(writer, fields.length === 0 ? null : (readers[0]?.type ?? null));
  const [reader] = readers;
  const inner = reader === undefined || owner !== null ? null : recordIn(reader.type);
  if (fields.length > 0 || reader === undefined || inner === null) return { node, fields, object: null };
  const members = schema.fields.flatMap(({ name }, field) => (fieldPath(name).owner === reader.name ? [field] : []));
  if (members.length === 0) return { node, fields, object: null };
  const plans = branchesOf(writer).map((branch) => {
    const record = recordIn(branch);
    return record === null ? null : planRecord(schema, reader.name, inner, record);
  });
  return { node, fields, object: { members, plans } };
}

function slackOf({ node, object }: AvroStep): number {
  if (object === null) return symbolBytes(node);
  return Math.max(0, ...object.plans.map((plan) => plan?.textSlackBytes ?? 0));
}

/** The longest symbol of an enum, or the longest text of a decimal, alone or in a union. */
function symbolBytes(node: AvroNode): number {
  const branches = node.read === READ_UNION ? [node, ...node.parts] : [node];
  return Math.max(
    0,
    ...branches.flatMap((branch) => branch.symbols.map((symbol) => symbol.length)),
    ...branches.map(({ scale }) => (scale < 0 ? 0 : decimalTextBytes(scale))),
  );
}
