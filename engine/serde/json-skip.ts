import { readNumber } from './json-number.ts';
import { skipText } from './json-text.ts';

/** What {@link skipValue} says of a value that nests deeper than it may; no position in a slab has this complement. */
export const TOO_DEEP = -0x80000000;

const scratch: Float64Array = new Float64Array(1);

/** The position of the first byte at or after `at` that is not JSON's white space, or `end`. */
export function skipSpace(data: Uint8Array, at: number, end: number): number {
  let to = at;
  while (to < end) {
    const byte = data[to] ?? 0;
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) break;
    to++;
  }
  return to;
}

/**
 * Checks the JSON value that starts at `at` (no white space before it) and gives the position after it, `~position` of the byte that no JSON has there, or
 * {@link TOO_DEEP} when it holds more than `depth` arrays and objects in each other.
 */
export function skipValue(data: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  const byte = at < end ? (data[at] ?? 0) : 0;
  switch (byte) {
    case 0x22:
      return skipText(data, view, at + 1, end);
    case 0x7b:
      return depth === 0 ? TOO_DEEP : skipObject(data, view, at + 1, end, depth - 1);
    case 0x5b:
      return depth === 0 ? TOO_DEEP : skipArray(data, view, at + 1, end, depth - 1);
    case 0x74:
    case 0x66:
    case 0x6e:
      return skipWord(data, at, end);
    default:
      return readNumber(data, at, end, scratch, 0);
  }
}

/** Checks the `true`, `false` or `null` whose first letter is at `at`, and gives the position after it, or `~position`. */
export function skipWord(data: Uint8Array, at: number, end: number): number {
  const word = data[at] === 0x74 ? trueBytes : data[at] === 0x66 ? falseBytes : nullBytes;
  for (let i = 0; i < word.length; i++) {
    if (at + i >= end || data[at + i] !== word[i]) return ~(at + i);
  }
  return at + word.length;
}

const trueBytes: Uint8Array = new TextEncoder().encode('true');
const falseBytes: Uint8Array = new TextEncoder().encode('false');
const nullBytes: Uint8Array = new TextEncoder().encode('null');

function skipArray(data: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  let to = skipSpace(data, at, end);
  if (to < end && data[to] === 0x5d) return to + 1;
  for (;;) {
    to = skipValue(data, view, to, end, depth);
    if (to < 0) return to;
    to = skipSpace(data, to, end);
    if (to >= end) return ~end;
    if (data[to] === 0x5d) return to + 1;
    if (data[to] !== 0x2c) return ~to;
    to = skipSpace(data, to + 1, end);
  }
}

function skipObject(data: Uint8Array, view: DataView, at: number, end: number, depth: number): number {
  let to = skipSpace(data, at, end);
  if (to < end && data[to] === 0x7d) return to + 1;
  for (;;) {
    if (to >= end || data[to] !== 0x22) return ~to;
    to = skipText(data, view, to + 1, end);
    if (to < 0) return to;
    to = skipSpace(data, to, end);
    if (to >= end || data[to] !== 0x3a) return ~to;
    to = skipValue(data, view, skipSpace(data, to + 1, end), end, depth);
    if (to < 0) return to;
    to = skipSpace(data, to, end);
    if (to >= end) return ~end;
    if (data[to] === 0x7d) return to + 1;
    if (data[to] !== 0x2c) return ~to;
    to = skipSpace(data, to + 1, end);
  }
}
