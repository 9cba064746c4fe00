import type { Type, types } from 'avsc';
import { branchesOf, decimalScaleOf, instantUnitOf, withoutLogical, type InstantUnit } from './avro-schema.ts';

// What an AvroNode reads.

/** Nothing, no bytes. */
export const READ_NULL = 0;
/** A byte, 0 or 1. */
export const READ_BOOLEAN = 1;
/** An `int` or a `long`: both are written alike. */
export const READ_LONG = 2;
/** Four bytes. */
export const READ_FLOAT = 3;
/** Eight bytes. */
export const READ_DOUBLE = 4;
/** A length and UTF-8. */
export const READ_STRING = 5;
/** A length and bytes. */
export const READ_BYTES = 6;
/** As many bytes as the type says. */
export const READ_FIXED = 7;
/** The number of a symbol. */
export const READ_ENUM = 8;
/** The number of a branch, and its value. */
export const READ_UNION = 9;
/** The values of its fields. */
export const READ_RECORD = 10;
/** Blocks of items. */
export const READ_ARRAY = 11;
/** Blocks of keys and items. */
export const READ_MAP = 12;

/**
 * One type of a writer's schema as the decoder's loops want it: plain tables, the same shape for every type. Types that contain themselves
 * make a graph, so nodes are filled in after they are made.
 */
export interface AvroNode {
  readonly read: number;
  /** Of a `fixed`: its size in bytes. */
  readonly sizeBytes: number;
  /** Of a `long`: what it counts, where its type says that it is an instant. */
  readonly unit: InstantUnit | null;
  /** Of `bytes` or a `fixed` that are a decimal: its scale; -1 for others. */
  readonly scale: number;
  /** Of an `enum`: what each symbol becomes, as UTF-8; empty for one that the reader has no word for. */
  readonly symbols: Uint8Array[];
  /** Of a union its branches, of a record its fields, of an array or map its items. */
  readonly parts: AvroNode[];
}

/**
 * Compiles a writer's type. `reader` is the type that it will be read as, where there is one: its enums say what becomes of unknown symbols, and its logical
 * types what a plain `long` counts. Resolution has been checked.
 */
export function compileNode(writer: Type, reader: Type | null): AvroNode {
  return compile(writer, reader, new Map());
}

/**
 * Whether values of this type take no bytes at all. An array may claim any number of those, so that nothing may be done for each of them.
 */
export function isWeightless(node: AvroNode): boolean {
  return weightless(node, new Set());
}

function weightless(node: AvroNode, within: Set<AvroNode>): boolean {
  if (node.read === READ_NULL) return true;
  if (node.read === READ_FIXED) return node.sizeBytes === 0;
  if (node.read !== READ_RECORD || within.has(node)) return node.read === READ_RECORD;
  within.add(node);
  return node.parts.every((part) => weightless(part, within));
}

function compile(writer: Type, reader: Type | null, known: Map<Type, AvroNode>): AvroNode {
  const type = withoutLogical(writer);
  const seen = reader === null ? known.get(type) : undefined;
  if (seen !== undefined) return seen;
  const node = {
    read: readOf(type),
    sizeBytes: type.typeName === 'fixed' ? (type as types.FixedType).size : 0,
    unit: instantUnitOf(writer) ?? unitOf(reader),
    scale: decimalScaleOf(writer) ?? -1,
    symbols: type.typeName === 'enum' ? symbolsOf(type as types.EnumType, reader) : [],
    parts: [] as AvroNode[],
  };
  if (reader === null) known.set(type, node);
  for (const [part, partReader] of partsOf(type, reader)) node.parts.push(compile(part, partReader, known));
  return node;
}

function readOf(type: Type): number {
  switch (type.typeName) {
    case 'null':
      return READ_NULL;
    case 'boolean':
      return READ_BOOLEAN;
    case 'int':
    case 'long':
      return READ_LONG;
    case 'float':
      return READ_FLOAT;
    case 'double':
      return READ_DOUBLE;
    case 'string':
      return READ_STRING;
    case 'bytes':
      return READ_BYTES;
    case 'fixed':
      return READ_FIXED;
    case 'enum':
      return READ_ENUM;
    case 'array':
      return READ_ARRAY;
    case 'map':
      return READ_MAP;
    case 'record':
    case 'error':
      return READ_RECORD;
    default:
      return READ_UNION;
  }
}

/** The types inside a type, each with the type it will be read as: only a union's branches are read, the others are skipped. */
function partsOf(type: Type, reader: Type | null): readonly (readonly [Type, Type | null])[] {
  switch (type.typeName) {
    case 'union:unwrapped':
    case 'union:wrapped':
      return branchesOf(type).map((branch) => [branch, reader]);
    case 'record':
    case 'error':
      return (type as types.RecordType).fields.map((field) => [field.type, null]);
    case 'array':
      return [[(type as types.ArrayType).itemsType, null]];
    case 'map':
      return [[(type as types.MapType).valuesType as Type, null]];
    default:
      return [];
  }
}

function unitOf(reader: Type | null): InstantUnit | null {
  if (reader === null) return null;
  for (const branch of branchesOf(reader)) {
    const unit = instantUnitOf(branch);
    if (unit !== null) return unit;
  }
  return null;
}

function symbolsOf(writer: types.EnumType, reader: Type | null): Uint8Array[] {
  const encoder = new TextEncoder();
  const target =
    reader === null
      ? undefined
      : branchesOf(reader).find((branch): branch is types.EnumType => branch.typeName === 'enum');
  const fallback = (target as { readonly default?: string } | undefined)?.default ?? '';
  return writer.symbols.map((symbol) =>
    encoder.encode(target === undefined || target.symbols.includes(symbol) ? symbol : fallback),
  );
}
