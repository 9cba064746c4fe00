/** Powers of ten that a double holds exactly; one multiplication or division by them rounds once, and so correctly. */
const exactPowers: Float64Array = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Below this, whole numbers are exact in a double. */
const exactLimit = 2 ** 53;

/**
 * Reads the JSON number that starts at `at` into `out[index]`, rounded as `JSON.parse` rounds it, and gives the position after it, or `~position` of the byte that
 * no number has there. A number too large for a double is stored as an infinity.
 *
 * Numbers of up to 15 or 16 digits with a decimal exponent within ±22, which is nearly all there are, cost a multiplication a digit and one division
 * (Clinger, "How to read floating point numbers accurately", 1990: both operands are exact); the others become a string for `Number`.
 */
export function readNumber(data: Uint8Array, at: number, end: number, out: Float64Array, index: number): number {
  let to = at;
  let byte = to < end ? (data[to] ?? 0) : 0;
  const negative = byte === 0x2d;
  if (negative) byte = ++to < end ? (data[to] ?? 0) : 0;
  let mantissa = 0;
  if (byte === 0x30) {
    byte = ++to < end ? (data[to] ?? 0) : 0;
  } else {
    if (byte < 0x31 || byte > 0x39) return ~to;
    do {
      mantissa = mantissa * 10 + (byte - 0x30);
      byte = ++to < end ? (data[to] ?? 0) : 0;
    } while (byte >= 0x30 && byte <= 0x39);
  }
  let exponent = 0;
  if (byte === 0x2e) {
    const point = to;
    byte = ++to < end ? (data[to] ?? 0) : 0;
    if (byte < 0x30 || byte > 0x39) return ~to;
    do {
      mantissa = mantissa * 10 + (byte - 0x30);
      byte = ++to < end ? (data[to] ?? 0) : 0;
    } while (byte >= 0x30 && byte <= 0x39);
    exponent = point + 1 - to;
  }
  if (byte === 0x65 || byte === 0x45) {
    byte = ++to < end ? (data[to] ?? 0) : 0;
    const shrinks = byte === 0x2d;
    if (shrinks || byte === 0x2b) byte = ++to < end ? (data[to] ?? 0) : 0;
    if (byte < 0x30 || byte > 0x39) return ~to;
    let written = 0;
    do {
      // Whatever its digits, a number this far out is 0 or infinite, and the string below says which.
      if (written < 100_000) written = written * 10 + (byte - 0x30);
      byte = ++to < end ? (data[to] ?? 0) : 0;
    } while (byte >= 0x30 && byte <= 0x39);
    exponent += shrinks ? -written : written;
  }
  let value: number;
  if (mantissa < exactLimit && exponent <= 22 && exponent >= -22) {
    value = exponent < 0 ? mantissa / (exactPowers[-exponent] ?? 1) : mantissa * (exactPowers[exponent] ?? 1);
    if (negative) value = -value;
  } else {
    value = Number(latin1(data, at, to));
  }
  out[index] = value;
  return to;
}

function latin1(data: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(data[at] ?? 0);
  return text;
}
