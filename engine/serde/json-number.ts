import { MAX_EXACT_POWER, powers, productRest } from './exact-powers.ts';

/** Below this, whole numbers are exact in a double. */
const exactLimit = 2 ** 53;

/**
 * Reads the JSON number that starts at `at` into `out[index]`, rounded as `JSON.parse` rounds it, and gives the position after it, or `~position` of the byte that
 * no number has there. A number too large for a double is stored as an infinity.
 *
 * Where the digits are exact in a double, and so is the power of ten, one multiplication or division rounds rightly (Clinger, "How to read floating point
 * numbers accurately", 1990). Those of 16 and 17 digits, as doubles of full precision are written, are read once more, in two parts. What is longer, very
 * large or very small becomes a string for `Number`.
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
  if (mantissa < exactLimit && exponent <= MAX_EXACT_POWER && exponent >= -MAX_EXACT_POWER) {
    value = exponent < 0 ? mantissa / (powers[-exponent] ?? 1) : mantissa * (powers[exponent] ?? 1);
    if (negative) value = -value;
  } else {
    value = longValue(data, at, to, exponent);
    if (Number.isNaN(value)) value = Number(latin1(data, at, to));
    else if (negative) value = -value;
  }
  out[index] = value;
  return to;
}

/**
 * The magnitude of the well-formed number in `data[start, end)`, whose digits count 10^exponent; NaN where it takes more than this to say. The digits are
 * gathered as two integers, the first nine and the next eight, so that none is lost.
 */
function longValue(data: Uint8Array, start: number, end: number, exponent: number): number {
  let front = 0;
  let back = 0;
  // How many digits there are from the first that is not zero on.
  let digits = 0;
  for (let at = start; at < end; at++) {
    const digit = (data[at] ?? 0) - 0x30;
    if (digit >= 0 && digit <= 9) {
      if (digits < 9) front = front * 10 + digit;
      else back = back * 10 + digit;
      if (front !== 0 && ++digits > 17) return Number.NaN;
    } else if (digit === 0x65 - 0x30 || digit === 0x45 - 0x30) {
      break;
    }
  }
  if (digits <= 9) return Number.NaN;
  const shifted = front * (powers[digits - 9] ?? 1);
  if (exponent === 0) return shifted + back;
  return exponent < 0 && exponent >= -MAX_EXACT_POWER ? quotient(shifted, back, -exponent) : Number.NaN;
}

/**
 * The double nearest to `(high + low) / 10^exponent`, for whole numbers `high > low`; NaN where two are too near to being equally near. The quotient of the
 * rounded sum is off by what the sum and the division lost, both of which are known exactly; dividing that too gives it to some 100 bits.
 */
function quotient(high: number, low: number, exponent: number): number {
  const power = powers[exponent] ?? 1;
  const sum = high + low;
  const sumRest = high - sum + low;
  const guess = sum / power;
  const product = guess * power;
  const correction = (sum - product - productRest(guess, exponent, product) + sumRest) / power;
  const doubt = guess * 2 ** -92;
  const least = guess + (correction - doubt);
  return least === guess + (correction + doubt) ? least : Number.NaN;
}

function latin1(data: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(data[at] ?? 0);
  return text;
}
