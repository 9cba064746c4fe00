import { SluiceError } from '../error.ts';

/** Milliseconds in each unit that a duration may be written in. Days are exactly 24 hours: event time is UTC and has no calendar. */
const unitMs: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

const wholePattern = /^(?:\d+(?:ms|s|m|h|d|w))+$/;
const partPattern = /(\d+)(ms|s|m|h|d|w)/g;

/**
 * Reads a duration as job files write it: `10s`, `7d`, `1h30m`, `500ms`. Called while a job file or a command line is checked.
 *
 * @returns whole milliseconds, at most `Number.MAX_SAFE_INTEGER`.
 * @throws {SluiceError} `DURATION_INVALID` when the text is not a sum of whole numbers with units ms, s, m, h, d or w.
 */
export function parseDuration(text: string): number {
  const trimmed = text.trim();
  if (!wholePattern.test(trimmed)) {
    throw new SluiceError(
      'DURATION_INVALID',
      `a duration must be whole numbers with a unit of ms, s, m, h, d or w, such as "7d" or "1h30m"; got "${text}"`,
    );
  }
  let totalMs = 0;
  for (const [, digits, unit] of trimmed.matchAll(partPattern)) {
    totalMs += Number(digits) * (unitMs[unit ?? ''] ?? 0);
  }
  if (!Number.isSafeInteger(totalMs)) {
    throw new SluiceError('DURATION_INVALID', `a duration must fit in 2^53 milliseconds; got "${text}"`);
  }
  return totalMs;
}

/** Writes a duration in the largest units that are exact (`604800000` → `7d`), so that plans and errors read as job files do. */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0s';
  let restMs = durationMs;
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms']) {
    const sizeMs = unitMs[unit] ?? 1;
    const count = Math.floor(restMs / sizeMs);
    if (count > 0) {
      text += `${count}${unit}`;
      restMs -= count * sizeMs;
    }
  }
  return text;
}
