import { MAX_EXACT_POWER, powers, productRest } from './exact-powers.ts';

/**
 * Numbers as ASCII, written as ECMAScript's `Number.prototype.toString` writes them: the fewest digits that read back as the same double
 * and, among those, the closest. Only -0 differs: it keeps its sign, so that every double comes back bit for bit.
 */

/** The longest text that {@link writeNumber} writes, in bytes: sign, 17 digits, point, `e-324`, or a whole number of 21 digits. */
export const NUMBER_TEXT_BYTES = 28;

/** `00` to `99`, a digit a byte. */
const pairs: Uint8Array = new Uint8Array(200);
for (let value = 0; value < 100; value++) {
  pairs[value * 2] = 0x30 + Math.floor(value / 10);
  pairs[value * 2 + 1] = 0x30 + (value % 10);
}

const bits: Float64Array = new Float64Array(1);
const words: Uint32Array = new Uint32Array(bits.buffer);
bits[0] = 1;
/** Which of the two words of a double holds its exponent: the second, unless the machine is big-endian. */
const upperWord: 0 | 1 = words[1] === 0 ? 0 : 1;

/** Half the distance to the next double, for doubles whose exponent is `index - 20`. */
const halfSteps: Float64Array = Float64Array.from({ length: 80 }, (_, index) => 2 ** (index - 20 - 53));

/** Writes any finite double from `at` on, where there must be room for {@link NUMBER_TEXT_BYTES}, and gives the position after it. */
export function writeNumber(out: Uint8Array, at: number, value: number): number {
  let to = at;
  let magnitude = value;
  if (value < 0 || (value === 0 && 1 / value < 0)) {
    out[to++] = 0x2d;
    magnitude = -value;
  }
  if (Math.floor(magnitude) === magnitude && magnitude < 2 ** 53) return writeWhole(out, to, magnitude);
  if (magnitude < 1e9) {
    // Money and ratios: at most six decimals. r/10^6 is rounded once, so if it gives the number back its text does too, and below 10^15
    // no two decimals share a double, so that none is shorter but r without its trailing zeros.
    const millionths = Math.round(magnitude * 1e6);
    if (millionths / 1e6 === magnitude) return writeMillionths(out, to, millionths);
  }
  const after = magnitude >= 1e-6 && magnitude < 2 ** 53 ? writeShortest(out, to, magnitude) : -1;
  return after < 0 ? writeSlowly(out, to, magnitude) : after;
}

/** Writes a whole number from 0 to 2^53. */
export function writeWhole(out: Uint8Array, at: number, value: number): number {
  if (value < 1e8) return writeShort(out, at, value);
  const high = Math.floor(value / 1e8);
  const to =
    high < 1e8 ? writeShort(out, at, high) : writeEight(out, writeShort(out, at, Math.floor(high / 1e8)), high % 1e8);
  return writeEight(out, to, value - high * 1e8);
}

/** A whole number below 10^8, without leading zeros. */
function writeShort(out: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let limit = 10; value >= limit && digits < 8; limit *= 10) digits++;
  let rest = value | 0;
  let to = at + digits;
  while (rest >= 100) {
    const hundredth = (rest / 100) | 0;
    const pair = (rest - hundredth * 100) * 2;
    out[--to] = pairs[pair + 1] ?? 0;
    out[--to] = pairs[pair] ?? 0;
    rest = hundredth;
  }
  if (rest >= 10) {
    out[--to] = pairs[rest * 2 + 1] ?? 0;
    out[--to] = pairs[rest * 2] ?? 0;
  } else {
    out[--to] = 0x30 + rest;
  }
  return at + digits;
}

/** A whole number below 10^8 in exactly eight digits. */
function writeEight(out: Uint8Array, at: number, value: number): number {
  let rest = value | 0;
  for (let to = at + 6; to >= at; to -= 2) {
    const hundredth = (rest / 100) | 0;
    const pair = (rest - hundredth * 100) * 2;
    out[to] = pairs[pair] ?? 0;
    out[to + 1] = pairs[pair + 1] ?? 0;
    rest = hundredth;
  }
  return at + 8;
}

/** `millionths / 10^6`, which is not whole. */
function writeMillionths(out: Uint8Array, at: number, millionths: number): number {
  const whole = Math.floor(millionths / 1e6);
  let to = writeWhole(out, at, whole);
  out[to++] = 0x2e;
  let rest = (millionths - whole * 1e6) | 0;
  for (let place = to + 4; place >= to; place -= 2) {
    const hundredth = (rest / 100) | 0;
    const pair = (rest - hundredth * 100) * 2;
    out[place] = pairs[pair] ?? 0;
    out[place + 1] = pairs[pair + 1] ?? 0;
    rest = hundredth;
  }
  return withoutTrailingZeros(out, to + 6);
}

function withoutTrailingZeros(out: Uint8Array, end: number): number {
  let to = end;
  while (out[to - 1] === 0x30) to--;
  return to;
}

/**
 * The shortest text of a double of 10^-6 to 2^53 that is not whole, or -1 where deciding it needs more care than this takes.
 *
 * Scaled by a power of ten that a double holds exactly, so that 17 digits stand before the point, the number is the sum of two doubles without
 * error, and so is half the way to its neighbours. Any decimal that is closer than that reads back as the number. With 17 digits, half
 * the way is between 0.5 and 12 units, so at most one multiple of 100, and hence of any higher power of ten, is that close: if one is, it is
 * the shortest. Else the nearest multiple of 10, if that close, has 16 digits, and else the nearest whole number has 17. Where something is
 * so near a limit that the last rounding could matter, or a limit lies elsewhere (at powers of two), the caller asks the engine instead.
 */
function writeShortest(out: Uint8Array, at: number, value: number): number {
  bits[0] = value;
  const upper = words[upperWord] ?? 0;
  if ((upper & 0xfffff) === 0 && words[1 - upperWord] === 0) return -1;
  const exponent = (upper >>> 20) - 1023;
  // 1233/4096 is log10(2), a little more: the product is the decimal exponent of 2^exponent.
  let scale = 16 - ((exponent * 1233) >> 12);
  let high = value * (powers[scale] ?? 1);
  if (high >= 1e17) high = value * (powers[--scale] ?? 1);
  if (scale > MAX_EXACT_POWER || high < 1e16 || high >= 1e17) return -1;
  const low = productRest(value, scale, high);
  const reach = (halfSteps[exponent + 20] ?? 0) * (powers[scale] ?? 1);

  let front = Math.floor(high / 1e8);
  let back = high - front * 1e8;
  if (back < 0) {
    front--;
    back += 1e8;
  }
  const pair = (back | 0) % 100;
  let step = stepTo(100, 0.01, pair, low, reach);
  if (step === NONE) step = stepTo(10, 0.1, pair % 10, low, reach);
  if (step === NONE) step = stepTo(1, 1, 0, low, reach);
  if (step >= NONE) return -1;
  back += step;
  if (back < 0) {
    front--;
    back += 1e8;
  } else if (back >= 1e8) {
    front++;
    back -= 1e8;
  }
  if (front < 1e8 || front >= 1e9) return -1;
  return writeSeventeen(out, at, front, back, 17 - scale);
}

const NONE = 1000;
const UNSURE = 2000;

/**
 * How far it is from a whole number that is `over` above a multiple of `unit` to the multiple of `unit` that is nearest to that number plus `low`;
 * {@link NONE} when that is not within `reach`.
 */
function stepTo(unit: number, inverse: number, over: number, low: number, reach: number): number {
  const place = over + low;
  // The product may choose the wrong neighbour only about half-way between two, which is then UNSURE.
  const target = unit * Math.floor(place * inverse + 0.5);
  const distance = Math.abs(place - target);
  if (Math.abs(distance - reach) < 1e-6 || Math.abs(distance - unit / 2) < 1e-6) return UNSURE;
  return distance < reach ? target - over : NONE;
}

/** The nine digits of `front` and the eight of `back`, with the point before digit `point` (which may be below 0), without trailing zeros. */
function writeSeventeen(out: Uint8Array, at: number, front: number, back: number, point: number): number {
  let to = at;
  if (point <= 0) {
    out[to++] = 0x30;
    out[to++] = 0x2e;
    for (let zeros = point; zeros < 0; zeros++) out[to++] = 0x30;
  }
  // A place is left free in front, into which the few digits before the point then move by one.
  const digits = point <= 0 ? to : to + 1;
  const first = Math.floor(front / 1e8);
  out[digits] = 0x30 + first;
  writeEight(out, digits + 1, front - first * 1e8);
  writeEight(out, digits + 9, back);
  if (point > 0) {
    for (let digit = 0; digit < point; digit++) out[to + digit] = out[digits + digit] ?? 0;
    out[to + point] = 0x2e;
  }
  return withoutTrailingZeros(out, digits + 17);
}

function writeSlowly(out: Uint8Array, at: number, magnitude: number): number {
  const text = String(magnitude);
  for (let index = 0; index < text.length; index++) out[at + index] = text.charCodeAt(index);
  return at + text.length;
}
