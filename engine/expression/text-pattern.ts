import { RE2JS, RE2JSException } from 're2js';
import { SluiceError } from '../error.ts';

/**
 * Compiles a pattern to a test of whether it is found anywhere in a text. RE2 takes time in proportion to the text, whatever pattern and text are: neither is
 * trusted. It has no look-around and no back references.
 *
 * @throws {SluiceError} `PATTERN_INVALID`.
 */
export function compileTextPattern(pattern: string): (text: string) => boolean {
  try {
    const compiled = RE2JS.compile(pattern);
    return (text) => compiled.matcher(text).find();
  } catch (thrown) {
    if (!(thrown instanceof RE2JSException)) throw thrown;
    throw new SluiceError('PATTERN_INVALID', `a pattern must be one of RE2's; got one that is not: ${thrown.message}`, {
      cause: thrown,
    });
  }
}
