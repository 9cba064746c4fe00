import { strict as real } from 'node:assert';

/**
 * `assert` with a message where none is given. Node would look for the failed condition in the source, to quote it, and in code that Stryker has instrumented that takes
 * half a minute.
 */
const quick = (condition, message = 'an assertion failed') => real.ok(condition, message);

export * from 'node:assert';
export const strict = Object.assign(quick, real);
