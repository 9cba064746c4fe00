/**
 * Avro's `decimal` (1.12 specification, "Decimal"): the unscaled whole number as big-endian two's complement, which the schema's `scale` says how to divide. In
 * `data[start, end)`; no bytes at all are 0.
 */

/** More digits than any number in use has; a longer one is refused before time is spent on it. */
const maxBytes = 64;

/** The largest power of ten that a double holds exactly. */
const maxExactScale = 22;

/** The most that {@link decimalText} gives, in characters. */
export function decimalTextBytes(scale: number): number {
  return Math.max(scale, maxBytes * 3) + 3;
}

/** The unscaled number's every digit. */
function unscaled(data: Uint8Array, start: number, end: number): bigint {
  let value = 0n;
  for (let at = start; at < end; at++) value = (value << 8n) | BigInt(data[at] ?? 0);
  return BigInt.asIntN((end - start) * 8, value);
}

/**
 * The decimal as the double nearest to it, which is what its digits give in JSON; NaN where the unscaled number is 2^53 or more in magnitude, so that the double
 * would no longer tell it from its neighbours.
 */
export function decimalNumber(data: Uint8Array, start: number, end: number, scale: number): number {
  if (end - start > maxBytes) return NaN;
  let value = start < end && (data[start] ?? 0) >= 0x80 ? -1 : 0;
  for (let at = start; at < end; at++) value = value * 256 + (data[at] ?? 0);
  if (!Number.isSafeInteger(value)) return NaN;
  // Both are exact, and one division rounds once; other scales go the way of text.
  return scale <= maxExactScale ? value / 10 ** scale : Number(`${value}e-${scale}`);
}

/** The decimal with every digit, those after the point as many as `scale`: `-12.30`. `null` for one that is absurdly long. */
export function decimalText(data: Uint8Array, start: number, end: number, scale: number): string | null {
  if (end - start > maxBytes) return null;
  const value = unscaled(data, start, end);
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  if (scale === 0) return sign + digits;
  return `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}
