import { Schema, type Field, type FieldType } from '../../engine/record/schema.ts';

/** A field's type as it is written in TypeScript and in job files; with `?` a record may come without it. */
export type FieldText = FieldType | `${FieldType}?`;

/** The fields of a record: `{ card_id: 'string', amount: 'double', place: 'string?' }`. */
export type Fields = Readonly<Record<string, FieldText>>;

/** What a field's values are in TypeScript. Instants are milliseconds since the epoch. */
export type ValueOf<T extends FieldText> = T extends `${infer Base extends FieldType}?`
  ? PlainValueOf<Base> | null
  : PlainValueOf<T & FieldType>;

type PlainValueOf<T extends FieldType> = T extends 'string' ? string : T extends 'boolean' ? boolean : number;

/** The record that some fields make: what callbacks are given, and give. */
export type RowOf<F extends Fields> = { readonly [Name in keyof F]: ValueOf<F[Name]> };

/** One type where an intersection of several would be shown. */
export type Flat<T> = { readonly [Name in keyof T]: T[Name] };

/** The names of the fields whose values are of a type, or null. */
export type NamesOf<Row, Value> = {
  [Name in keyof Row & string]: Row[Name] extends Value | null ? Name : never;
}[keyof Row & string];

/** Fields as the engine has them. */
export function fieldsOf(fields: Fields): readonly Field[] {
  return Object.entries(fields).map(([name, text]): Field => {
    const isOptional = text.endsWith('?');
    const type = (isOptional ? text.slice(0, -1) : text) as FieldType;
    return { name, type, presence: isOptional ? 'optional' : 'required' };
  });
}

/** A schema of these fields. */
export function schemaOf(fields: Fields): Schema {
  return new Schema(fieldsOf(fields));
}
