import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { JobFiles } from '../job-files.ts';

/**
 * Checks the key of an operator: its fields exist, can be a key, and are each there once. Called for what says `key:`, a field or a list of them.
 *
 * @param path of the key in the job file.
 * @returns the fields as a list.
 */
export function checkKeyFields(
  document: PlanDocument,
  path: DocumentPath,
  key: string | readonly string[],
  schema: Schema,
  { diagnostics }: JobFiles,
): readonly string[] {
  const names = typeof key === 'string' ? [key] : key;
  const fitting = schema.fields.filter(({ type }) => type === 'string' || type === 'long').map(({ name }) => name);
  names.forEach((name, index) => {
    const place = typeof key === 'string' ? path : [...path, index];
    const type = schema.field(name)?.type;
    if (names.indexOf(name) < index) {
      diagnostics.push(document.atValue(place, { code: 'NAME_DUPLICATE', message: `"${name}" is here twice` }));
    }
    if (fitting.includes(name)) return;
    diagnostics.push(
      document.atValue(place, {
        code: type === undefined ? 'NAME_UNKNOWN' : 'TYPE_WRONG',
        message: type === undefined ? `the record has no field "${name}"` : `"${name}" is a ${type}, which is no key`,
        expected: `one of ${fitting.join(', ')}`,
        nearest: nearestName(name, fitting),
      }),
    );
  });
  return names;
}
