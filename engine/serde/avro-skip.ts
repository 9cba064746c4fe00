import { MALFORMED, readLong } from './avro-binary.ts';
import * as avroNode from './avro-node.ts';

/** What {@link skipNode} gives for a value that nests deeper than it may. */
export const TOO_DEEP = -2;

const scratch: Float64Array = new Float64Array(1);

/**
 * Skips the value of that type at `at` (whose text may be any bytes) and gives the position after it, {@link MALFORMED}, or {@link TOO_DEEP} when it holds more than `depth` records, arrays,
 * maps and unions in each other.
 */
export function skipNode(node: avroNode.AvroNode, data: Uint8Array, at: number, end: number, depth: number): number {
  switch (node.read) {
    case avroNode.READ_NULL:
      return at;
    case avroNode.READ_BOOLEAN:
      return at < end && (data[at] ?? 2) < 2 ? at + 1 : MALFORMED;
    case avroNode.READ_LONG:
      return readLong(data, at, end, scratch, 0);
    case avroNode.READ_FLOAT:
      return skipBytes(at, end, 4);
    case avroNode.READ_DOUBLE:
      return skipBytes(at, end, 8);
    case avroNode.READ_FIXED:
      return skipBytes(at, end, node.sizeBytes);
    case avroNode.READ_STRING:
    case avroNode.READ_BYTES: {
      const from = readLong(data, at, end, scratch, 0);
      const size = scratch[0] ?? 0;
      if (from < 0 || size < 0 || size > end - from) return MALFORMED;
      return from + size;
    }
    case avroNode.READ_ENUM: {
      const after = readLong(data, at, end, scratch, 0);
      return after < 0 || node.symbols[scratch[0] ?? -1] === undefined ? MALFORMED : after;
    }
    default:
      return depth === 0 ? TOO_DEEP : skipParts(node, data, at, end, depth - 1);
  }
}

function skipParts(node: avroNode.AvroNode, data: Uint8Array, at: number, end: number, depth: number): number {
  if (node.read === avroNode.READ_RECORD) {
    let to = at;
    for (const part of node.parts) {
      to = skipNode(part, data, to, end, depth);
      if (to < 0) return to;
    }
    return to;
  }
  if (node.read === avroNode.READ_UNION) {
    const from = readLong(data, at, end, scratch, 0);
    const branch = from < 0 ? undefined : node.parts[scratch[0] ?? -1];
    return branch === undefined ? MALFORMED : skipNode(branch, data, from, end, depth);
  }
  return skipBlocks(node, data, at, end, depth);
}

/** An array or a map: blocks of a count and so many items, until a count of 0; a negative count comes with the block's size. */
function skipBlocks(node: avroNode.AvroNode, data: Uint8Array, at: number, end: number, depth: number): number {
  const [items] = node.parts;
  if (items === undefined) return MALFORMED;
  const weightless = node.read === avroNode.READ_ARRAY && avroNode.isWeightless(items);
  let to = at;
  for (;;) {
    to = readLong(data, to, end, scratch, 0);
    if (to < 0) return to;
    let count = scratch[0] ?? 0;
    if (count === 0) return to;
    if (count < 0) {
      count = -count;
      to = readLong(data, to, end, scratch, 0);
      if (to < 0) return to;
    }
    for (let item = 0; item < count && !weightless; item++) {
      if (node.read === avroNode.READ_MAP) {
        to = skipNode(keyNode, data, to, end, depth);
        if (to < 0) return to;
      }
      to = skipNode(items, data, to, end, depth);
      if (to < 0) return to;
    }
  }
}

const keyNode: avroNode.AvroNode = {
  read: avroNode.READ_STRING,
  sizeBytes: 0,
  unit: null,
  scale: -1,
  symbols: [],
  parts: [],
};

function skipBytes(at: number, end: number, size: number): number {
  return size > end - at ? MALFORMED : at + size;
}
