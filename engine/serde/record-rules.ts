/** What one value of a field must be, beyond its type. Lengths are in Unicode characters. */
export type ValueRule =
  | { readonly rule: 'minimum' | 'maximum' | 'exclusiveMinimum' | 'exclusiveMaximum'; readonly than: number }
  | { readonly rule: 'minLength' | 'maxLength'; readonly than: number }
  /** Found anywhere in the text; RE2's syntax. */
  | { readonly rule: 'pattern'; readonly pattern: string }
  | { readonly rule: 'enum'; readonly values: readonly (string | number | boolean)[] }
  | { readonly rule: 'uuid' };

/** What a field of a record must be, beyond what its type says. */
export interface FieldRules {
  readonly field: string;
  /** Whether a record may come without the field, and whether it may say that it is null: a `Schema`'s `optional` does not tell them apart. */
  readonly absent: 'accept' | 'refuse';
  readonly null: 'accept' | 'refuse';
  /** What a value may be written as; `any`: as the decoder's field types allow (numbers as text, instants as numbers or text). */
  readonly form: 'any' | 'text' | 'number';
  readonly values: readonly ValueRule[];
}

/** What records must be, beyond their schema: plain data, part of a job's digest. Made of a JSON Schema. */
export interface RecordRules {
  readonly fields: readonly FieldRules[];
  /** By object (`''` is the record itself): the names that it may have; an object that is not here may have any. */
  readonly closed: Readonly<Record<string, readonly string[]>>;
}
