/**
 * Arithmetic without rounding error, for reading and writing numbers: a product of two doubles is the sum of its rounded value and a rest, which the halves
 * of the factors give exactly (Dekker, "A floating-point technique for extending the available precision", 1971; Veltkamp's splitting).
 */

/** The highest power of ten that a double holds exactly. */
export const MAX_EXACT_POWER = 22;

/** Powers of ten that a double holds exactly. */
export const powers: Float64Array = Float64Array.from({ length: MAX_EXACT_POWER + 1 }, (_, exponent) =>
  Number(`1e${exponent}`),
);

const powersHigh: Float64Array = powers.map((power) => upperHalf(power));
const powersLow: Float64Array = powers.map((power, exponent) => power - (powersHigh[exponent] ?? 0));

/** What `value * 10^exponent` lost when it was rounded to `product`: exact, as long as nothing is subnormal or infinite. */
export function productRest(value: number, exponent: number, product: number): number {
  const high = upperHalf(value);
  const low = value - high;
  const powerHigh = powersHigh[exponent] ?? 0;
  const powerLow = powersLow[exponent] ?? 0;
  return high * powerHigh - product + high * powerLow + low * powerHigh + low * powerLow;
}

/** The upper 26 bits of a double's 53; the rest is the difference. */
function upperHalf(value: number): number {
  const spread = 134_217_729 * value;
  return spread - (spread - value);
}
