import type { TextTarget } from './record-builder.ts';
import { sequenceLength, writeCodePoint } from './utf8.ts';

const quote = 0x22;
const backslash = 0x5c;

/** 1 for the bytes that stand for themselves in a JSON string: ASCII but the quote, the backslash and the control characters. */
const plain: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x80 && byte !== quote && byte !== backslash ? 1 : 0,
);

/** What each one-letter escape stands for; 0 where there is none. */
const escapes: Uint8Array = new Uint8Array(256);
for (const [letter, meaning] of ['""', '\\\\', '//', 'b\b', 'f\f', 'n\n', 'r\r', 't\t']) {
  escapes[letter?.charCodeAt(0) ?? 0] = meaning?.charCodeAt(0) ?? 0;
}

/** The value of each hexadecimal digit; 255 for other bytes. */
const hexDigits: Uint8Array = new Uint8Array(256).fill(0xff);
for (let value = 0; value < 16; value++) {
  hexDigits[value.toString(16).charCodeAt(0)] = value;
  hexDigits[value.toString(16).toUpperCase().charCodeAt(0)] = value;
}

/**
 * Non-zero when one of the four bytes in `word` does not stand for itself in a JSON string: a quote, a backslash, a control character, or one beyond ASCII. The
 * usual trick: subtracting 1 from a byte borrows into its top bit only if the byte was 0, and subtracting 0x20 only if it was less.
 */
function specialIn(word: number): number {
  const quotes = word ^ 0x22222222;
  const backslashes = word ^ 0x5c5c5c5c;
  return (
    (((quotes - 0x01010101) & ~quotes) |
      ((backslashes - 0x01010101) & ~backslashes) |
      ((word - 0x20202020) & ~word) |
      word) &
    0x80808080
  );
}

/**
 * Checks the rest of a JSON string whose opening quote is just before `at`, and gives the position after its closing quote, or `~position` of the byte
 * that no string has there (a control character, an escape that is none, what is not UTF-8, the end). `view` is over the same bytes as `data`, for
 * looking at four of them at once.
 */
export function skipText(data: Uint8Array, view: DataView, at: number, end: number): number {
  let to = at;
  while (to < end) {
    while (to <= end - 4 && specialIn(view.getInt32(to, true)) === 0) to += 4;
    const byte = to < end ? (data[to] ?? 0) : 0;
    if (plain[byte] === 1) {
      to++;
    } else if (byte === quote) {
      return to + 1;
    } else {
      const length = byte === backslash ? escapeLength(data, to, end) : sequenceLength(data, to, end);
      if (length === 0) return ~to;
      to += length;
    }
  }
  return ~end;
}

/**
 * Copies the rest of a JSON string, whose opening quote is just before `at`, to `out` from `offsets[row]` on as UTF-8, and sets `offsets[row + 1]` to its
 * end there, or to -1 when it holds an unpaired surrogate, which JSON's grammar allows and UTF-8 cannot carry. `out` must have room for as many bytes
 * as there are up to `end`: no string is longer than it is escaped.
 *
 * @returns the position after the closing quote, or `~position` as {@link skipText} has it.
 */
export function readText(
  data: Uint8Array,
  view: DataView,
  at: number,
  end: number,
  out: TextTarget,
  offsets: Int32Array,
  row: number,
): number {
  const target = out.bytes;
  const targetView = out.view;
  let from = at;
  let to = offsets[row] ?? 0;
  while (from < end) {
    while (from <= end - 4) {
      const word = view.getInt32(from, true);
      if (specialIn(word) !== 0) break;
      targetView.setInt32(to, word, true);
      from += 4;
      to += 4;
    }
    const byte = from < end ? (data[from] ?? 0) : 0;
    if (plain[byte] === 1) {
      target[to++] = byte;
      from++;
    } else if (byte === quote) {
      offsets[row + 1] = to;
      return from + 1;
    } else if (byte === backslash) {
      const after = skipText(data, view, from, end);
      if (after >= 0) offsets[row + 1] = unescapeText(data, from, after - 1, target, to);
      return after;
    } else {
      const length = sequenceLength(data, from, end);
      if (length === 0) return ~from;
      for (let i = 0; i < length; i++) target[to++] = data[from++] ?? 0;
    }
  }
  return ~end;
}

/**
 * Writes what the well-formed string content `data[start, end)` stands for to `out` from `at` on, and gives the position after it, or -1 when a
 * surrogate lacks its other half.
 */
export function unescapeText(data: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  let from = start;
  let to = at;
  while (from < end) {
    const byte = data[from++] ?? 0;
    if (byte !== backslash) {
      out[to++] = byte;
      continue;
    }
    const letter = data[from++] ?? 0;
    if (letter !== 0x75) {
      out[to++] = escapes[letter] ?? 0;
      continue;
    }
    let codePoint = hexAt(data, from);
    from += 4;
    if ((codePoint & 0xf800) === 0xd800) {
      const paired = codePoint < 0xdc00 && from + 6 <= end && data[from] === backslash && data[from + 1] === 0x75;
      const low = paired ? hexAt(data, from + 2) : 0;
      if ((low & 0xfc00) !== 0xdc00) return -1;
      codePoint = 0x10000 + ((codePoint & 0x3ff) << 10) + (low & 0x3ff);
      from += 6;
    }
    to = writeCodePoint(out, to, codePoint);
  }
  return to;
}

/** The length of the escape at `at`, where there is a backslash; 0 when it is none. */
function escapeLength(data: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0;
  const letter = data[at + 1] ?? 0;
  if (letter !== 0x75) return escapes[letter] === 0 ? 0 : 2;
  if (at + 6 > end) return 0;
  for (let i = at + 2; i < at + 6; i++) {
    if (hexDigits[data[i] ?? 0] === 0xff) return 0;
  }
  return 6;
}

function hexAt(data: Uint8Array, at: number): number {
  let value = 0;
  for (let i = at; i < at + 4; i++) value = (value << 4) | (hexDigits[data[i] ?? 0] ?? 0);
  return value;
}
