import type { AvroField } from '../../serde/avro-fields.ts';
import {
  READ_ARRAY,
  READ_BOOLEAN,
  READ_DOUBLE,
  READ_LONG,
  READ_NULL,
  READ_STRING,
  READ_UNION,
  type AvroNode,
} from '../../serde/avro-node.ts';

/** A column of a ClickHouse table, by its name and type as `system.columns` has them. */
export interface TableColumn {
  readonly name: string;
  readonly type: string;
}

// What a step writes of the Avro value that it reads.

/** Nothing: the table has no column for it. */
export const WRITE_NOTHING = 0;
/** A `double` as Float64: the same eight bytes. */
export const WRITE_DOUBLE = 1;
/** An `int` or `long` as Float64. */
export const WRITE_LONG_AS_DOUBLE = 2;
/** A `boolean` as Float64. */
export const WRITE_BOOLEAN_AS_DOUBLE = 3;
/** An `int` or `long` as an integer of the column's width. */
export const WRITE_INTEGER = 4;
/** A `boolean` as one byte. */
export const WRITE_BOOLEAN = 5;
/** A text with its length before it. */
export const WRITE_STRING = 6;
/** A list of texts with its length before it. */
export const WRITE_STRINGS = 7;
/** The fields of a record as a map of numbers by name. */
export const WRITE_MAP = 8;

/** What becomes of one Avro field. */
export interface NativeStep {
  readonly write: number;
  /** The column's place among those that are written; a map's member has the map's, and -1 is a field that is left out. */
  readonly column: number;
  /** How the field is passed where nothing is written. */
  readonly node: AvroNode;
  /** Which branch of the field's union is null; -1 where the field is no union. */
  readonly nullBranch: number;
  /** Whether the column can hold null. */
  readonly isNullable: boolean;
  /** Of an integer column: its bytes, whether it has a sign, and by what the number is multiplied. */
  readonly widthBytes: number;
  readonly isSigned: boolean;
  readonly factor: number;
  /** Of a map: its members, and their names as they are written, one after the other. */
  readonly members: readonly NativeStep[];
  readonly keys: Uint8Array;
}

/** How messages of one Avro schema become rows of one table. */
export interface NativePlan {
  /** The columns that are written, in order. */
  readonly columns: readonly TableColumn[];
  /** For each of the record's fields, in its order. */
  readonly steps: readonly NativeStep[];
}

/**
 * Plans how records of an Avro schema become columns of ClickHouse's `Native` format: fields go to the columns of their names, members of a record to columns
 * `record.member`, or all into one column of type `Map(LowCardinality(String), Nullable(Float64))` (or without `LowCardinality`) that is named as the record. What has no column is left out.
 *
 * @returns `null` where a field and its column are of types that this does not know; such messages go as JSON.
 */
export function planNative(fields: readonly AvroField[], table: readonly TableColumn[]): NativePlan | null {
  const columns: TableColumn[] = [];
  const steps: NativeStep[] = [];
  const visit = ({ node, members }: AvroField, path: string): boolean => {
    const found = table.find((candidate) => candidate.name === path);
    if (members !== null && found === undefined) {
      return members.every((member) => visit(member, `${path}.${member.name}`));
    }
    if (found === undefined) {
      steps.push(stepOf(WRITE_NOTHING, -1, node));
      return true;
    }
    const column = columns.length;
    const step = members === null ? valueStep(found, column, node) : mapStep(found, column, node, members);
    if (step === null) return false;
    columns.push(found);
    steps.push(step);
    return true;
  };
  return fields.every((field) => visit(field, field.name)) ? { columns, steps } : null;
}

/** A step, with what it does not need left empty. */
function stepOf(write: number, column: number, node: AvroNode, more: Partial<NativeStep> = {}): NativeStep {
  return {
    write,
    column,
    node,
    nullBranch: node.read === READ_UNION ? node.parts.findIndex(({ read }) => read === READ_NULL) : -1,
    isNullable: false,
    widthBytes: 0,
    isSigned: false,
    factor: 1,
    members: [],
    keys: new Uint8Array(0),
    ...more,
  };
}

/** A field that is null or of one type: that type. `null` for another union. */
function valueNode(node: AvroNode): AvroNode | null {
  if (node.read !== READ_UNION) return node;
  const others = node.parts.filter(({ read }) => read !== READ_NULL);
  return node.parts.length === 2 && others.length === 1 ? (others[0] ?? null) : null;
}

function valueStep(into: TableColumn, column: number, node: AvroNode): NativeStep | null {
  const type = into.type.replace(/^LowCardinality\((.*)\)$/, '$1');
  const isNullable = type.startsWith('Nullable(');
  const inner = isNullable ? type.slice('Nullable('.length, -1) : type;
  const value = valueNode(node);
  if (value === null) return null;
  const step = (write: number, integer: Partial<IntegerColumn> = {}): NativeStep =>
    stepOf(write, column, node, { isNullable, ...integer });
  if (inner === 'Float64') {
    const write = asDouble(value);
    return write === null ? null : step(write);
  }
  if (inner === 'String') return value.read === READ_STRING ? step(WRITE_STRING) : null;
  if (inner === 'Array(String)') {
    const isList = value.read === READ_ARRAY && value.parts[0]?.read === READ_STRING;
    return isList && node.read !== READ_UNION ? step(WRITE_STRINGS) : null;
  }
  if (inner === 'Bool') return value.read === READ_BOOLEAN ? step(WRITE_BOOLEAN, { widthBytes: 1 }) : null;
  const integer = integerColumn(inner, value);
  if (value.read === READ_BOOLEAN && integer?.widthBytes === 1) return step(WRITE_BOOLEAN, integer);
  return value.read === READ_LONG && integer !== null ? step(WRITE_INTEGER, integer) : null;
}

const mapTypes = ['Map(LowCardinality(String), Nullable(Float64))', 'Map(String, Nullable(Float64))'];
/** A key's place in the list of them is a byte, and 0 is the empty text's. */
const maxListedKeys = 255;

function mapStep(into: TableColumn, column: number, node: AvroNode, fields: readonly AvroField[]): NativeStep | null {
  if (!mapTypes.includes(into.type) || fields.length > maxListedKeys) return null;
  const members: NativeStep[] = [];
  const keys: number[] = [];
  for (const field of fields) {
    const value = valueNode(field.node);
    const write = value === null ? null : asDouble(value);
    if (write === null) return null;
    members.push(stepOf(write, column, field.node, { isNullable: true }));
    keys.push(...lengthPrefixed(field.name));
  }
  return stepOf(WRITE_MAP, column, node, { members, keys: Uint8Array.from(keys) });
}

/** A text as ClickHouse writes one: its length, seven bits a byte, the lowest first; then its UTF-8. */
export function lengthPrefixed(text: string): readonly number[] {
  const utf8 = new TextEncoder().encode(text);
  return [...lengthBytes(utf8.length), ...utf8];
}

/** A whole number, seven bits a byte, the lowest first. */
export function lengthBytes(length: number): readonly number[] {
  return length < 0x80 ? [length] : [(length & 0x7f) | 0x80, ...lengthBytes(length >>> 7)];
}

function asDouble(value: AvroNode): number | null {
  if (value.read === READ_DOUBLE) return WRITE_DOUBLE;
  // An instant is text in JSON, and no number of a map or of a Float64 column.
  if (value.read === READ_LONG && value.unit === null) return WRITE_LONG_AS_DOUBLE;
  return value.read === READ_BOOLEAN ? WRITE_BOOLEAN_AS_DOUBLE : null;
}

interface IntegerColumn {
  readonly widthBytes: number;
  readonly isSigned: boolean;
  readonly factor: number;
}

/** How whole numbers are written into a column: plain ones into integers, instants into times of the same resolution or a finer one. */
function integerColumn(type: string, { unit }: AvroNode): IntegerColumn | null {
  const [, sign, bits] = /^(U?)Int(8|16|32|64)$/.exec(type) ?? [];
  if (bits !== undefined)
    return unit === null ? { widthBytes: Number(bits) / 8, isSigned: sign === '', factor: 1 } : null;
  const precision = Number(/^DateTime64\((\d)(?:, '[^']*')?\)$/.exec(type)?.[1] ?? NaN);
  const written = unit === 'millis' ? 3 : unit === 'micros' ? 6 : NaN;
  if (!(precision >= written)) return null;
  return { widthBytes: 8, isSigned: true, factor: 10 ** (precision - written) };
}
