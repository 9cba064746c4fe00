import { SluiceError } from '../error.ts';

/**
 * What a field's values mean. All numeric types share one physical form, a `Float64Array` (see `NumberColumn`):
 *
 * - `double`: any finite number.
 * - `long`: a whole number below 2^53 in magnitude; larger ids are declared `string`, which keeps every digit.
 * - `boolean`: 0 or 1.
 * - `timestamp`: an instant, whole milliseconds since the epoch, UTC.
 * - `string`: UTF-8 text.
 */
export type FieldType = 'double' | 'long' | 'boolean' | 'timestamp' | 'string';

/** One field of a record: its name, its type, and whether a record may come without it. */
export interface Field {
  readonly name: string;
  readonly type: FieldType;
  readonly presence: 'required' | 'optional';
}

/** The ordered fields of a stream of records. Names are unique. Frozen when it is made. */
export class Schema {
  readonly fields: readonly Field[];
  readonly #indexByName: ReadonlyMap<string, number>;

  /** @throws {SluiceError} `SCHEMA_FIELD_DUPLICATE` when two fields share a name. */
  constructor(fields: readonly Field[]) {
    const indexByName = new Map<string, number>();
    fields.forEach((field, index) => {
      if (indexByName.has(field.name)) {
        throw new SluiceError(
          'SCHEMA_FIELD_DUPLICATE',
          `a schema's field names must be unique; got "${field.name}" twice`,
        );
      }
      indexByName.set(field.name, index);
    });
    this.fields = Object.freeze([...fields]);
    this.#indexByName = indexByName;
  }

  /** The column's position, or -1 when there is no field of that name. */
  indexOf(name: string): number {
    return this.#indexByName.get(name) ?? -1;
  }

  /** The field of that name, or `undefined`. */
  field(name: string): Field | undefined {
    return this.fields[this.indexOf(name)];
  }

  /** This schema with further fields at its end. Called by operators that add columns, once, when the plan is made. */
  with(...added: readonly Field[]): Schema {
    return new Schema([...this.fields, ...added]);
  }
}
