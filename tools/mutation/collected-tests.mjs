import { format } from 'node:util';

// Vitest's `expect` works without its runner where this is there; it looks for nothing in it.
globalThis.__vitest_worker__ ??= { config: { expect: {} } };
const { expect: vitestExpect } = await import('vitest');

/**
 * What tests import as `vitest` while mutants are tested (test-stand-ins.mjs): `describe` and `it` that do nothing but collect the tests, so that they can be run again and
 * again in one process. `expect` is Vitest's own. What a test needs beyond that is not here, and its file cannot be loaded then, which stops the run by name.
 */
export const expect = vitestExpect;

/** @type {{ name: string, whole: string, test: () => unknown }[]} */
let collected = [];
const suites = [];

/** The tests that a file has, in its order. */
export async function collectTests(load) {
  collected = [];
  await load();
  return collected;
}

export function it(name, test) {
  const whole = [...suites, name].join(' > ');
  const same = collected.filter((other) => other.whole === whole).length;
  collected.push({ whole, name: same === 0 ? whole : `${whole} (${same + 1})`, test });
}

export function describe(name, define) {
  suites.push(name);
  define();
  suites.pop();
}

/** `each` as Vitest has it: a row that is a list gives the arguments, and `%s` or `$field` of the name are filled in from them. */
const eachOf = (define) => (rows) => (name, body) => {
  for (const row of rows) {
    const values = Array.isArray(row) ? row : [row];
    const filled = name.replaceAll(/\$(\w+)/g, (text, field) => String(values[0]?.[field] ?? text));
    const places = filled.match(/%[a-z]/gi)?.length ?? 0;
    define(format(filled, ...values.slice(0, places)), () => body(...values));
  }
};
it.each = eachOf(it);
describe.each = eachOf(describe);
