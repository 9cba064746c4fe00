import type { SchemaElement } from 'hyparquet';
import type { FieldType } from '../../record/schema.ts';

/** What a Parquet column holds, as far as fields care. */
export type ParquetKind = 'integer' | 'float' | 'decimal' | 'boolean' | 'instant' | 'text' | 'other';

/** Which columns may fill a field of each type; what of their values does not fit is found row by row. */
const acceptedKinds: Readonly<Record<FieldType, readonly ParquetKind[]>> = {
  double: ['integer', 'float', 'decimal'],
  long: ['integer', 'float', 'decimal'],
  boolean: ['boolean', 'integer'],
  timestamp: ['instant', 'integer', 'float', 'text'],
  string: ['text', 'integer'],
};

/** Whether a column of that kind may fill a field of that type. */
export function accepts(type: FieldType, kind: ParquetKind): boolean {
  return acceptedKinds[type].includes(kind);
}

/** The kind of a column by its annotation, new (`logical_type`) or old (`converted_type`), and else by its physical type. */
export function kindOf(element: SchemaElement): ParquetKind {
  if ((element.num_children ?? 0) > 0 || element.repetition_type === 'REPEATED') return 'other';
  const annotation = element.logical_type?.type ?? element.converted_type;
  if (annotation === undefined || integerAnnotations.test(annotation))
    return physicalKinds[element.type ?? ''] ?? 'other';
  return annotatedKinds[annotation] ?? 'other';
}

const integerAnnotations = /^(?:INTEGER|U?INT_\d+)$/;

const annotatedKinds: Readonly<Record<string, ParquetKind>> = {
  DECIMAL: 'decimal',
  DATE: 'instant',
  TIMESTAMP: 'instant',
  TIMESTAMP_MILLIS: 'instant',
  TIMESTAMP_MICROS: 'instant',
  FLOAT16: 'float',
  STRING: 'text',
  UTF8: 'text',
  ENUM: 'text',
  JSON: 'text',
  UUID: 'text',
};

/** A byte array without annotation is text: that is how several writers write strings, and its bytes are checked to be UTF-8. */
const physicalKinds: Readonly<Record<string, ParquetKind>> = {
  BOOLEAN: 'boolean',
  INT32: 'integer',
  INT64: 'integer',
  INT96: 'instant',
  FLOAT: 'float',
  DOUBLE: 'float',
  BYTE_ARRAY: 'text',
};

/** The column's type in Parquet's own words, for errors: `INT64 (TIMESTAMP_MILLIS)`. */
export function describeType(element: SchemaElement): string {
  if (element.num_children !== undefined && element.num_children > 0) return 'a nested group';
  const annotation = element.converted_type ?? element.logical_type?.type;
  const repeated = element.repetition_type === 'REPEATED' ? 'repeated ' : '';
  return `${repeated}${element.type ?? '?'}${annotation === undefined ? '' : ` (${annotation})`}`;
}
