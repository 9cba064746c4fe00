import { z } from 'zod';
import { checkShape } from '../../engine/plan/check-shape.ts';
import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';

/** A zod schema for each key that a mapping may have. */
export type PartSchemas<Parts> = { readonly [Key in keyof Parts]: z.ZodType<Parts[Key]> };

const mapping = z.record(z.string(), z.unknown());

/**
 * Checks a mapping key by key, each on its own, so that what is wrong under one of them does not hide what is wrong with the others, nor stop the checks that
 * need only them. Called for a job file and for its source.
 *
 * @returns the keys that are there and sound; `null` where there is no mapping at all.
 */
export function checkParts<Parts extends object>(
  document: PlanDocument,
  path: DocumentPath,
  schemas: PartSchemas<Parts>,
  diagnostics: Diagnostic[],
): Partial<Parts> | null {
  const value = checkShape(document, path, mapping, diagnostics);
  if (value === undefined) return null;
  const known = Object.keys(schemas);
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue;
    diagnostics.push(
      document.atKey([...path, key], {
        code: 'KEY_UNKNOWN',
        message: `"${key}" is not a key that stands here`,
        expected: `one of ${known.join(', ')}`,
        nearest: nearestName(key, known),
      }),
    );
  }
  const parts: Partial<Parts> = {};
  for (const key of known as (keyof Parts & string)[]) {
    const part = checkShape(document, [...path, key], schemas[key], diagnostics);
    if (part !== undefined) parts[key] = part;
  }
  return parts;
}
