import type { FieldType } from '../../record/schema.ts';
import {
  GOT_DISTANT_INSTANT,
  GOT_FRACTION,
  GOT_NOT_FINITE,
  GOT_NUMBER,
  GOT_UNSAFE_LONG,
  maxInstantMs,
  PRESENT,
  type FieldFinding,
} from '../../serde/field-finding.ts';

/**
 * Whether a number may be the value of a field of that type. The rules are those of the JSON decoder, but that files whose format has no
 * booleans (or in which people write 0 and 1 for them) may give a boolean as one of these two.
 */
export function findingOfNumber(type: FieldType, value: number): FieldFinding {
  // NaN and the infinities are the only values that differ from themselves by something else than 0.
  if (value - value !== 0) return GOT_NOT_FINITE;
  switch (type) {
    case 'double':
      return PRESENT;
    case 'long':
      if (Math.floor(value) !== value) return GOT_FRACTION;
      return Math.abs(value) <= Number.MAX_SAFE_INTEGER ? PRESENT : GOT_UNSAFE_LONG;
    case 'timestamp':
      if (Math.floor(value) !== value) return GOT_FRACTION;
      return Math.abs(value) <= maxInstantMs ? PRESENT : GOT_DISTANT_INSTANT;
    case 'boolean':
      return value === 0 || value === 1 ? PRESENT : GOT_NUMBER;
    case 'string':
      return GOT_NUMBER;
  }
}
