import { SluiceError } from '../error.ts';
import { compileTextPattern } from '../expression/text-pattern.ts';
import type { ValueRule } from './record-rules.ts';

/** A JSON object whose keys are keywords of JSON Schema. */
export type Keywords = Readonly<Record<string, unknown>>;

/** What the keywords of one property say of its values. */
export interface ReadValueRules {
  readonly rules: readonly ValueRule[];
  /** The keywords that are enforced for this type. */
  readonly keywords: readonly string[];
  /** Whether null is a value: the type says so, and no list of values leaves it out. */
  readonly isNullable: boolean;
  readonly problems: readonly { readonly key: string; readonly message: string; readonly expected: string }[];
}

const numberKeywords = ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'] as const;
const lengthKeywords = ['minLength', 'maxLength'] as const;

const keywordsOf: Readonly<Record<string, readonly string[]>> = {
  string: ['enum', 'const', 'format', ...lengthKeywords, 'pattern'],
  'date-time': ['format'],
  integer: ['enum', 'const', 'format', ...numberKeywords],
  number: ['enum', 'const', ...numberKeywords],
  boolean: ['enum', 'const'],
};

const formatsOf: Readonly<Record<string, readonly string[]>> = {
  string: ['date-time', 'uuid'],
  integer: ['timestamp-millis'],
};

/** Whether a value read from JSON is an object, neither an array nor null. Asked by `readJsonSchema` before it looks for keywords. */
export function isMapping(value: unknown): value is Keywords {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * Reads what a property's schema says of its values.
 *
 * @param type its type, beside null.
 * @param nullable whether null is another.
 */
export function valueRulesOf(property: Keywords, type: string, nullable: boolean): ReadValueRules {
  const rules: ValueRule[] = [];
  const problems: { key: string; message: string; expected: string }[] = [];
  const refuse = (key: string, message: string, expected: string): void => {
    problems.push({ key, message, expected });
  };
  const { format, pattern } = property;
  const keywords = keywordsOf[format === 'date-time' && type === 'string' ? 'date-time' : type] ?? [];
  const given = (key: string): boolean => property[key] !== undefined && keywords.includes(key);
  for (const rule of [...numberKeywords, ...lengthKeywords]) {
    if (!given(rule)) continue;
    const than = property[rule];
    if (typeof than === 'number') rules.push({ rule, than });
    else refuse(rule, `"${rule}" is no number`, 'a number');
  }
  if (given('pattern')) {
    const problem = typeof pattern === 'string' ? patternProblem(pattern) : 'it is no text';
    if (problem !== null) refuse('pattern', `the pattern cannot be used: ${problem}`, 'a pattern in RE2 syntax');
    else if (typeof pattern === 'string') rules.push({ rule: 'pattern', pattern });
  }
  const formats = formatsOf[type] ?? [];
  if (given('format') && !formats.includes(String(format))) {
    refuse('format', `the format ${JSON.stringify(format)} is not enforced here`, `one of ${formats.join(', ')}`);
  }
  if (type === 'string' && format === 'uuid') rules.push({ rule: 'uuid' });
  let isNullable = nullable;
  for (const key of ['enum', 'const']) {
    if (!given(key)) continue;
    const listed: unknown = key === 'const' ? [property[key]] : property[key];
    const values = (Array.isArray(listed) ? listed : []).filter((value) => value !== null) as unknown[];
    if (Array.isArray(listed) && listed.every((value) => value === null || isOf(value, type))) {
      rules.push({ rule: 'enum', values: values as readonly (string | number | boolean)[] });
      isNullable &&= listed.includes(null);
    } else {
      refuse(key, `"${key}" holds something else than values of type ${type}`, `values of type ${type}`);
    }
  }
  return { rules, keywords, isNullable, problems };
}

function isOf(value: unknown, type: string): boolean {
  return type === 'integer' ? Number.isSafeInteger(value) : typeof value === type;
}

function patternProblem(pattern: string): string | null {
  try {
    compileTextPattern(pattern);
    return null;
  } catch (error) {
    if (!(error instanceof SluiceError)) throw error;
    return error.message;
  }
}
