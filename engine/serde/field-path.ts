import { SluiceError } from '../error.ts';

/**
 * Where a field is in a message. A field named `features.amount` is the member `amount` of an object (in Avro, a record) `features`; one whose
 * name has no dot is a member of the message itself. Objects do not nest further: of several dots only the first counts.
 */
export interface FieldPath {
  /** The object's name; `null` for the message itself. */
  readonly owner: string | null;
  readonly member: string;
}

/** Reads a field's name as a path. */
export function fieldPath(name: string): FieldPath {
  const dot = name.indexOf('.');
  return dot <= 0 ? { owner: null, member: name } : { owner: name.slice(0, dot), member: name.slice(dot + 1) };
}

/** The fields of one object, by their number in the schema, or an object among them. */
export interface PathGroup {
  /** The name in the message: a field's, or an object's. */
  readonly name: string;
  /** The field's number; -1 for an object. */
  readonly field: number;
  /** An object's own members; empty for a field. */
  readonly members: readonly PathGroup[];
}

/**
 * The names as a message has them: fields, and objects with their members, in the order in which each is first named. Called when a decoder is made.
 *
 * @throws {SluiceError} `SCHEMA_FIELD_AMBIGUOUS` when a name is both a field and an object.
 */
export function groupPaths(names: readonly string[]): readonly PathGroup[] {
  const groups = new Map<string, { field: number; members: PathGroup[] }>();
  names.forEach((name, field) => {
    const { owner, member } = fieldPath(name);
    const known = groups.get(owner ?? member);
    if (known !== undefined && (owner === null || known.field >= 0)) {
      const clash = owner ?? member;
      throw new SluiceError(
        'SCHEMA_FIELD_AMBIGUOUS',
        `"${clash}" must be a field or an object of fields; got both (a field with a dot in its name is a member of an object)`,
      );
    }
    if (owner === null) groups.set(member, { field, members: [] });
    else if (known === undefined) groups.set(owner, { field: -1, members: [{ name: member, field, members: [] }] });
    else known.members.push({ name: member, field, members: [] });
  });
  return [...groups].map(([name, { field, members }]) => ({ name, field, members }));
}
