import type { types } from 'avsc';
import { compileNode, type AvroNode } from './avro-node.ts';
import { parseAvroSchema, recordIn } from './avro-schema.ts';

/** A field of a writer's record, with what the loops need to read it or to pass it. */
export interface AvroField {
  readonly name: string;
  readonly node: AvroNode;
  /** Where the field is a record, and cannot be null: its own fields, whose values stand one after the other. */
  readonly members: readonly AvroField[] | null;
}

/**
 * The fields of the record that an Avro schema describes, in the order in which they are written. For whoever turns messages into another binary form
 * field by field; jobs read columns (`AvroDecoder`).
 *
 * @throws {SluiceError} `AVRO_SCHEMA_INVALID`.
 */
export function avroFieldsOf(schemaText: string): readonly AvroField[] {
  return fieldsOf(parseAvroSchema(schemaText).record);
}

function fieldsOf(record: types.RecordType): readonly AvroField[] {
  return record.fields.map(({ name, type }) => {
    const inner = recordIn(type);
    // Only a record that is not in a union is that of its fields alone; a record in itself ends there, in a union.
    const members = inner !== null && type.typeName === 'record' ? fieldsOf(inner) : null;
    return { name, node: compileNode(type, null), members };
  });
}
