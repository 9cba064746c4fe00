import type { FieldType } from '../../engine/record/schema.ts';
import type { Tolerance } from './amend-definition.ts';

/**
 * Whether a number has moved from what was told by more than is tolerated. A value where there was none, or none where there was one, always has; so has any change of a
 * boolean or of an instant, which are no quantities. NaN is null.
 */
export function isBeyond(type: FieldType, tolerance: Tolerance, before: number, after: number): boolean {
  if (before === after) return false;
  const [wasNull, isNull] = [Number.isNaN(before), Number.isNaN(after)];
  if (wasNull || isNull) return wasNull !== isNull;
  if (type === 'boolean' || type === 'timestamp') return true;
  const allowed = tolerance.kind === 'absolute' ? tolerance.by : tolerance.share * Math.abs(before);
  return Math.abs(after - before) > allowed;
}
