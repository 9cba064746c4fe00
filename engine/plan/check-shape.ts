import { z } from 'zod';
import type { Diagnostic } from './diagnostic.ts';
import { nearestName } from './nearest-name.ts';
import type { DocumentPath, Finding, PlanDocument } from './plan-document.ts';

/** The part of JSON Schema that says which keys a mapping may have. */
interface ShapeNode {
  readonly properties?: Readonly<Record<string, ShapeNode>>;
  readonly additionalProperties?: ShapeNode | boolean;
  readonly items?: ShapeNode;
  readonly anyOf?: readonly ShapeNode[];
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, ShapeNode>>;
}

/** What a refinement may add to its issue: `expected` and `nearest` as in a {@link Diagnostic}, and whether to point at the key. */
export interface RefinementParams {
  readonly expected?: string;
  readonly nearest?: string | null;
  readonly at?: 'key' | 'value';
}

/**
 * Checks the part of a document at `path` against a zod schema and adds what is wrong, each at its line and column, to `diagnostics`.
 * Called while a job is checked, once a section, so that one broken section does not hide the others.
 *
 * @returns the checked value, or `undefined` where anything in it is wrong.
 */
export function checkShape<Output>(
  document: PlanDocument,
  path: DocumentPath,
  schema: z.ZodType<Output>,
  diagnostics: Diagnostic[],
): Output | undefined {
  const value = valueAtPath(document.value, path);
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  for (const issue of result.error.issues) diagnostics.push(...diagnosticsOf(issue, value, { document, path, schema }));
  return undefined;
}

interface Place {
  readonly document: PlanDocument;
  readonly path: DocumentPath;
  readonly schema: z.ZodType;
}

function diagnosticsOf(issue: z.core.$ZodIssue, root: unknown, place: Place): Diagnostic[] {
  const { document, schema } = place;
  const inner = issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step));
  const path = [...place.path, ...inner];
  const value = valueAtPath(root, inner);
  const atValue = (finding: Finding): Diagnostic[] => [document.atValue(path, finding)];
  switch (issue.code) {
    case 'unrecognized_keys': {
      const known = keysAt(z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as ShapeNode, inner);
      return issue.keys.map((key) =>
        document.atKey([...path, key], {
          code: 'KEY_UNKNOWN',
          message: `"${key}" is not a key that stands here`,
          expected: `one of ${known.join(', ')}`,
          nearest: nearestName(key, known),
        }),
      );
    }
    case 'invalid_type': {
      const expected = wordFor(issue.expected);
      if (value === undefined) return [missing(document, path, expected)];
      return atValue({ code: 'TYPE_WRONG', message: `${labelOf(path)} is ${described(value)}`, expected });
    }
    case 'invalid_value': {
      const allowed = issue.values.map(String);
      const expected = allowed.length === 1 ? (allowed[0] ?? '') : `one of ${allowed.join(', ')}`;
      if (value === undefined) return [missing(document, path, expected)];
      const nearest = typeof value === 'string' ? nearestName(value, allowed) : null;
      return atValue({ code: 'VALUE_WRONG', message: `${labelOf(path)} is ${described(value)}`, expected, nearest });
    }
    case 'invalid_union': {
      // The alternative that got furthest is the one that was meant; with none, what is there is of a wrong type altogether.
      const best = issue.errors.toSorted((a, b) => depthOf(b) - depthOf(a))[0] ?? [];
      if (depthOf(best) > 0 || best.some(({ code }) => code === 'unrecognized_keys')) {
        return best.flatMap((nested) =>
          diagnosticsOf({ ...nested, path: [...issue.path, ...nested.path] }, root, place),
        );
      }
      const expected = [...new Set(issue.errors.flat().map(expectedOf))].join(', or ');
      if (value === undefined) return [missing(document, path, expected)];
      return atValue({ code: 'TYPE_WRONG', message: `${labelOf(path)} is ${described(value)}`, expected });
    }
    case 'too_small':
    case 'too_big': {
      const limit = issue.code === 'too_small' ? issue.minimum : issue.maximum;
      const bound = issue.code === 'too_small' ? 'at least' : 'at most';
      const unit = issue.origin === 'string' ? ' characters' : issue.origin === 'array' ? ' items' : '';
      const strictly = issue.inclusive === false ? (issue.code === 'too_small' ? 'more than' : 'less than') : bound;
      const expected = `${strictly} ${String(limit)}${unit}`;
      return atValue({ code: 'VALUE_WRONG', message: `${labelOf(path)} is ${described(value)}`, expected });
    }
    case 'custom': {
      const params = (issue.params ?? {}) as RefinementParams;
      if (value === undefined && params.at !== 'key')
        return [missing(document, path, params.expected ?? issue.message)];
      const finding = { message: issue.message, expected: params.expected ?? null, nearest: params.nearest ?? null };
      return params.at === 'key'
        ? [document.atKey(path, { code: 'VALUE_WRONG', ...finding })]
        : atValue({ code: 'VALUE_WRONG', ...finding });
    }
    case 'invalid_format':
    case 'invalid_key':
    case 'invalid_element':
    case 'not_multiple_of':
      return atValue({
        code: 'VALUE_WRONG',
        message: `${labelOf(path)} is ${described(value)}`,
        expected: issue.message,
      });
  }
}

function missing(document: PlanDocument, path: DocumentPath, expected: string): Diagnostic {
  const around = path.slice(0, -1);
  const finding = { code: 'KEY_MISSING', message: `${labelOf(path)} is missing`, expected } as const;
  return around.length === 0 ? document.atValue([], finding) : document.atKey(around, finding);
}

function depthOf(issues: readonly z.core.$ZodIssue[]): number {
  return Math.max(0, ...issues.map(({ path }) => path.length));
}

function expectedOf(issue: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type') return wordFor(issue.expected);
  if (issue.code === 'invalid_value') return issue.values.map(String).join(', ');
  if (issue.code === 'custom') return (issue.params as RefinementParams | undefined)?.expected ?? issue.message;
  return issue.message;
}

function labelOf(path: DocumentPath): string {
  const last = path.at(-1);
  if (last === undefined) return 'the document';
  return typeof last === 'number' ? `item ${last + 1} of "${String(path.at(-2) ?? '')}"` : `"${last}"`;
}

function wordFor(type: string): string {
  const words: Readonly<Record<string, string>> = {
    string: 'text',
    number: 'a number',
    int: 'a whole number',
    boolean: 'true or false',
    object: 'a mapping',
    record: 'a mapping',
    array: 'a list',
    null: 'null',
  };
  return words[type] ?? type;
}

function described(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a mapping';
  if (typeof value === 'string') return `"${value.length > 40 ? `${value.slice(0, 40)}…` : value}"`;
  return JSON.stringify(value);
}

function valueAtPath(value: unknown, path: DocumentPath): unknown {
  let current = value;
  for (const step of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, step)) return undefined;
    current = (current as Readonly<Record<string | number, unknown>>)[step];
  }
  return current;
}

/** The keys that a mapping at `path` may have. */
function keysAt(shape: ShapeNode, path: DocumentPath, root: ShapeNode = shape): readonly string[] {
  const named = shape.$ref === undefined ? undefined : root.$defs?.[shape.$ref.replace('#/$defs/', '')];
  if (named !== undefined) return keysAt(named, path, root);
  const alternatives = (shape.anyOf ?? []).flatMap((alternative) => keysAt(alternative, path, root));
  const [step, ...rest] = path;
  if (step === undefined) return [...new Set([...Object.keys(shape.properties ?? {}), ...alternatives])];
  const inner = typeof step === 'number' ? shape.items : (shape.properties?.[step] ?? shape.additionalProperties);
  return typeof inner === 'object' ? keysAt(inner, rest, root) : alternatives;
}
