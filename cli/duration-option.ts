import { InvalidArgumentError } from 'commander';
import { messageOf } from '../engine/error.ts';
import { parseDuration } from '../engine/time/duration.ts';

/** A duration from the command line, such as 30s or 1h30m, in milliseconds. */
export function duration(text: string): number {
  try {
    return parseDuration(text);
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}
