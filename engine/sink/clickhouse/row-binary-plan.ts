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
export interface RowBinaryStep {
  readonly write: number;
  /** The column, for errors; a map's member has the map's. */
  readonly column: string;
  /** How the field is passed where nothing is written. */
  readonly node: AvroNode;
  /** Which branch of the field's union is null; -1 where the field is no union. */
  readonly nullBranch: number;
  /** Whether a byte that tells null goes first. */
  readonly isNullable: boolean;
  /** Of an integer column: its bytes, whether it has a sign, and by what the number is multiplied. */
  readonly widthBytes: number;
  readonly isSigned: boolean;
  readonly factor: number;
  /** Of a map's member: its name as it is written. Empty for others. */
  readonly key: Uint8Array;
  /** Of a map: its members. */
  readonly members: readonly RowBinaryStep[];
}

/** How messages of one Avro schema become rows of one table. */
export interface RowBinaryPlan {
  /** The columns that are written, in order. */
  readonly columns: readonly TableColumn[];
  /** For each of the record's fields, in its order. */
  readonly steps: readonly RowBinaryStep[];
  /** Bytes that a row may have beyond those of its message, at most. */
  readonly spareBytes: number;
}

/**
 * Plans how records of an Avro schema become rows of ClickHouse's `RowBinary`: fields go to the columns of their names, members of a record to columns
 * `record.member`, or all into one column of type `Map(String, Nullable(Float64))` that is named as the record. What has no column is left out.
 *
 * @returns `null` where a field and its column are of types that this does not know; such messages go as JSON.
 */
export function planRowBinary(fields: readonly AvroField[], table: readonly TableColumn[]): RowBinaryPlan | null {
  const columns: TableColumn[] = [];
  const steps: RowBinaryStep[] = [];
  const visit = ({ name, node, members }: AvroField, path: string): boolean => {
    const column = table.find((candidate) => candidate.name === path);
    if (members !== null && column === undefined) {
      return members.every((member) => visit(member, `${path}.${member.name}`));
    }
    if (column === undefined) {
      steps.push(stepOf(WRITE_NOTHING, name, node, null));
      return true;
    }
    const step = members === null ? valueStep(column, node) : mapStep(column, node, members);
    if (step === null) return false;
    columns.push(column);
    steps.push(step);
    return true;
  };
  if (!fields.every((field) => visit(field, field.name))) return null;
  return { columns, steps, spareBytes: steps.reduce((sum, step) => sum + spareOf(step), 0) };
}

/** Beyond a value's own bytes: a null's byte, eight bytes where one was enough in Avro, a longer length. */
function spareOf(step: RowBinaryStep): number {
  return 16 + step.key.length + step.members.reduce((sum, member) => sum + spareOf(member), 0);
}

/** What is known of a step but for what it writes. */
function stepOf(
  write: number,
  column: string,
  node: AvroNode,
  integer: IntegerColumn | null,
  more: Partial<RowBinaryStep> = {},
): RowBinaryStep {
  const { widthBytes, isSigned, factor } = integer ?? { widthBytes: 0, isSigned: false, factor: 1 };
  return {
    write,
    column,
    node,
    nullBranch: node.read === READ_UNION ? node.parts.findIndex(({ read }) => read === READ_NULL) : -1,
    isNullable: false,
    widthBytes,
    isSigned,
    factor,
    key: new Uint8Array(0),
    members: [],
    ...more,
  };
}

/** A field that is null or of one type: that type. `null` for another union. */
function valueNode(node: AvroNode): AvroNode | null {
  if (node.read !== READ_UNION) return node;
  const others = node.parts.filter(({ read }) => read !== READ_NULL);
  return node.parts.length === 2 && others.length === 1 ? (others[0] ?? null) : null;
}

function valueStep(column: TableColumn, node: AvroNode): RowBinaryStep | null {
  const type = column.type.replace(/^LowCardinality\((.*)\)$/, '$1');
  const isNullable = type.startsWith('Nullable(');
  const inner = isNullable ? type.slice('Nullable('.length, -1) : type;
  const value = valueNode(node);
  if (value === null) return null;
  const step = (write: number, integer: IntegerColumn | null = null): RowBinaryStep =>
    stepOf(write, column.name, node, integer, { isNullable });
  if (inner === 'Float64') {
    const write = asDouble(value);
    return write === null ? null : step(write);
  }
  if (inner === 'String') return value.read === READ_STRING ? step(WRITE_STRING) : null;
  if (inner === 'Array(String)') {
    const isList = value.read === READ_ARRAY && value.parts[0]?.read === READ_STRING;
    return isList && node.read !== READ_UNION ? step(WRITE_STRINGS) : null;
  }
  if (inner === 'Bool') return value.read === READ_BOOLEAN ? step(WRITE_BOOLEAN) : null;
  const integer = integerColumn(inner, value);
  if (value.read === READ_BOOLEAN && integer?.widthBytes === 1) return step(WRITE_BOOLEAN);
  return value.read === READ_LONG && integer !== null ? step(WRITE_INTEGER, integer) : null;
}

function mapStep(column: TableColumn, node: AvroNode, members: readonly AvroField[]): RowBinaryStep | null {
  if (column.type !== 'Map(String, Nullable(Float64))') return null;
  const steps: RowBinaryStep[] = [];
  for (const member of members) {
    const value = valueNode(member.node);
    const write = value === null ? null : asDouble(value);
    if (write === null) return null;
    const text = new TextEncoder().encode(member.name);
    // A name's length fits one byte, or it goes as JSON.
    if (text.length > 127) return null;
    const key = Uint8Array.of(text.length, ...text);
    steps.push(stepOf(write, column.name, member.node, null, { isNullable: true, key }));
  }
  return steps.length > 127 ? null : stepOf(WRITE_MAP, column.name, node, null, { members: steps });
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
