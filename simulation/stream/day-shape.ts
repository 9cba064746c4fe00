/** Parts of a day over which the rate of purchases is held constant. */
export const slotsPerDay = 288;

/** Milliseconds of a day. */
export const dayMs = 86_400_000;

/** Milliseconds of a part. */
export const slotMs: number = dayMs / slotsPerDay;

const meanMs = dayMs / 2;
const standardDeviationMs = 20_000_000;

/**
 * The share of a day's purchases in each part of the day: a normal curve around noon with a standard deviation of 20,000 seconds, as in
 * the Handbook. What of the curve lies outside the day is lost there and here, so the shares add up to 0.969, not to 1.
 */
export function dayShape(): Float64Array {
  return Float64Array.from({ length: slotsPerDay }, (_, slot) => {
    const z = ((slot + 0.5) * slotMs - meanMs) / standardDeviationMs;
    return (Math.exp(-0.5 * z * z) * slotMs) / (standardDeviationMs * Math.sqrt(2 * Math.PI));
  });
}
