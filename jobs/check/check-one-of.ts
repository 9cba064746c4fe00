import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';

/**
 * Checks that exactly one of some keys is in the mapping at `path`, and says so where it is not. The keys' values are checked elsewhere.
 *
 * @param meaning what the keys say, as a phrase: "where records come from".
 * @returns the key; `null` with none or several.
 */
export function checkOneOf<Key extends string>(
  document: PlanDocument,
  path: DocumentPath,
  keys: readonly Key[],
  meaning: string,
  diagnostics: Diagnostic[],
): Key | null {
  const given = Object.keys(mappingAt(document.value, path));
  const found = keys.filter((key) => given.includes(key));
  const [only, second] = found;
  const expected = `one of ${keys.join(', ')}`;
  if (only === undefined) {
    const message = `nothing says ${meaning}`;
    diagnostics.push(document.atKey(path, { code: 'KEY_MISSING', message, expected }));
    return null;
  }
  if (second !== undefined) {
    const message = `one key says ${meaning}; here are ${found.join(' and ')}`;
    diagnostics.push(document.atKey([...path, second], { code: 'VALUE_WRONG', message, expected }));
    return null;
  }
  return only;
}

function mappingAt(value: unknown, path: DocumentPath): object {
  let current = value;
  for (const step of path) current = (current as Readonly<Record<string | number, unknown>> | undefined)?.[step];
  return typeof current === 'object' && current !== null ? current : {};
}
