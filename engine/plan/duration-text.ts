import { z } from 'zod';
import { formatDuration, parseDuration } from '../time/duration.ts';
import { SluiceError } from '../error.ts';

const expected = 'a duration such as 30s, 1h30m or 7d';
const written = { pattern: '^(\\d+(ms|s|m|h|d|w))+$', examples: ['30s', '1h30m', '7d'] };
const writtenOrForever = { pattern: '^(forever|(\\d+(ms|s|m|h|d|w))+)$', examples: ['1h', '7d', 'forever'] };

/**
 * A duration in a job file: read as text (`7d`), given as whole milliseconds.
 *
 * @param smallest `positive` refuses `0s`, for lengths that must not be empty.
 * @param longest `forever` takes that word, too, and gives `Infinity`; absent where every length must have an end.
 */
export function durationText(smallest: 'zero' | 'positive', longest?: 'forever'): z.ZodType<number, string> {
  return z
    .string({ error: (issue) => (issue.input === undefined ? undefined : expected) })
    .meta(longest === undefined ? written : writtenOrForever)
    .transform((text, context) => {
      if (longest === 'forever' && text === 'forever') return Infinity;
      const durationMs = readDuration(text);
      if (durationMs !== null && (durationMs > 0 || smallest === 'zero')) return durationMs;
      const message = durationMs === null ? `"${text}" is no duration` : `the duration is ${formatDuration(0)}`;
      const wanted = durationMs === null ? expected : `more than ${formatDuration(0)}`;
      context.addIssue({ code: 'custom', message, params: { expected: wanted } });
      return z.NEVER;
    });
}

function readDuration(text: string): number | null {
  try {
    return parseDuration(text);
  } catch (error) {
    if (error instanceof SluiceError) return null;
    throw error;
  }
}
