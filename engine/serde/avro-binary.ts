/** Avro's binary encoding of numbers (Avro 1.12 specification, "Binary Encoding"), between bytes and typed arrays. */

/** What the readers give for bytes that end too early or are no such value. */
export const MALFORMED = -1;

/** The longest that {@link writeLong} writes, in bytes. */
export const LONG_BYTES = 8;

/** The most that {@link longDigits} gives, in characters. */
export const LONG_DIGITS = 20;

/**
 * Reads the `int` or `long` at `at` into `out[index]`, rounded to the nearest double where 64 bits do not fit one, and gives the position after it or
 * {@link MALFORMED}. A result of 2^53 or more in magnitude is one that may have been rounded: see {@link longDigits}.
 */
export function readLong(data: Uint8Array, at: number, end: number, out: Float64Array, index: number): number {
  if (at >= end) return MALFORMED;
  let to = at;
  let byte = data[to++] ?? 0;
  let low = byte & 0x7f;
  for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
    if (to >= end) return MALFORMED;
    byte = data[to++] ?? 0;
    low |= (byte & 0x7f) << shift;
  }
  if (byte < 0x80) {
    out[index] = (low >>> 1) ^ -(low & 1);
    return to;
  }
  let high = 0;
  for (let unit = 1; byte >= 0x80; unit *= 128) {
    if (to >= end) return MALFORMED;
    byte = data[to++] ?? 0;
    // The tenth byte holds the last bit of 64.
    if (to - at === 10 && byte > 1) return MALFORMED;
    high += (byte & 0x7f) * unit;
  }
  const negative = low & 1;
  // One addition of two exact numbers rounds once, and so to the nearest.
  const magnitude = high * 2 ** 27 + ((low >>> 1) + negative);
  out[index] = negative === 1 ? -magnitude : magnitude;
  return to;
}

/** The digits of the well-formed `int` or `long` at `at`, every one of them. For fields that are text to us; makes a string. */
export function longDigits(data: Uint8Array, at: number): string {
  let encoded = 0n;
  let to = at;
  for (let shift = 0n; ; shift += 7n) {
    const byte = data[to++] ?? 0;
    encoded |= BigInt(byte & 0x7f) << shift;
    if (byte < 0x80) break;
  }
  return String((encoded >> 1n) ^ -(encoded & 1n));
}

/** Writes a whole number below 2^53 in magnitude as an `int` or `long` from `at` on, and gives the position after it. */
export function writeLong(out: Uint8Array, at: number, value: number): number {
  let to = at;
  // Twice the magnitude with the sign in the last bit would leave a double's 53 bits, so the first seven bits are taken apart.
  const sign = value < 0 ? 1 : 0;
  const magnitude = sign === 1 ? -value - 1 : value;
  let rest = Math.floor(magnitude / 64);
  const first = ((magnitude - rest * 64) << 1) | sign;
  out[to++] = rest === 0 ? first : first | 0x80;
  while (rest >= 0x8000_0000) {
    const next = Math.floor(rest / 128);
    out[to++] = (rest - next * 128) | 0x80;
    rest = next;
  }
  let bits = rest | 0;
  while (bits > 0x7f) {
    out[to++] = (bits & 0x7f) | 0x80;
    bits >>>= 7;
  }
  if (rest > 0) out[to++] = bits;
  return to;
}
