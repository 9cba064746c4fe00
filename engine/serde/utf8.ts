/**
 * The length of the well-formed UTF-8 sequence that starts at `at` with a byte of 0x80 or above (2, 3 or 4), or 0 when there is none: a stray
 * continuation, an overlong form, a surrogate, something beyond U+10FFFF, or a sequence cut off at `end` (Unicode 15, table 3-7).
 */
export function sequenceLength(data: Uint8Array, at: number, end: number): number {
  const lead = data[at] ?? 0;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  if (lead < 0xe0) return at + 1 < end && isContinuation(data[at + 1] ?? 0) ? 2 : 0;
  if (at + 2 >= end) return 0;
  const second = data[at + 1] ?? 0;
  if (!isContinuation(second) || !isContinuation(data[at + 2] ?? 0)) return 0;
  if (lead < 0xf0) {
    if ((lead === 0xe0 && second < 0xa0) || (lead === 0xed && second > 0x9f)) return 0;
    return 3;
  }
  if (at + 3 >= end || !isContinuation(data[at + 3] ?? 0)) return 0;
  if ((lead === 0xf0 && second < 0x90) || (lead === 0xf4 && second > 0x8f)) return 0;
  return 4;
}

/** Whether `data[start, end)` is well-formed UTF-8. */
export function isUtf8(data: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    if ((data[at] ?? 0) < 0x80) {
      at++;
    } else {
      const length = sequenceLength(data, at, end);
      if (length === 0) return false;
      at += length;
    }
  }
  return true;
}

/** Writes a code point as UTF-8 and gives the position after it. Surrogates are the caller's concern: they come out as three bytes. */
export function writeCodePoint(out: Uint8Array, at: number, codePoint: number): number {
  let to = at;
  if (codePoint < 0x80) {
    out[to++] = codePoint;
  } else if (codePoint < 0x800) {
    out[to++] = 0xc0 | (codePoint >> 6);
    out[to++] = 0x80 | (codePoint & 0x3f);
  } else if (codePoint < 0x10000) {
    out[to++] = 0xe0 | (codePoint >> 12);
    out[to++] = 0x80 | ((codePoint >> 6) & 0x3f);
    out[to++] = 0x80 | (codePoint & 0x3f);
  } else {
    out[to++] = 0xf0 | (codePoint >> 18);
    out[to++] = 0x80 | ((codePoint >> 12) & 0x3f);
    out[to++] = 0x80 | ((codePoint >> 6) & 0x3f);
    out[to++] = 0x80 | (codePoint & 0x3f);
  }
  return to;
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
