/** Codes of what can be wrong with a plan's files. Stable: people search for them, and tests assert on them. */
export type DiagnosticCode =
  | 'FILE_UNREADABLE'
  | 'JOB_IS_SINK'
  | 'YAML_SYNTAX'
  | 'KEY_UNKNOWN'
  | 'KEY_MISSING'
  | 'KEY_DUPLICATE'
  | 'TYPE_WRONG'
  | 'VALUE_WRONG'
  | 'NAME_UNKNOWN'
  | 'NAME_DUPLICATE'
  | 'EXPRESSION_INVALID'
  | 'FEATURE_CYCLE'
  | 'SCHEMA_INVALID';

/**
 * One thing that is wrong with a job's files, and where. They are collected over all files before anything starts, so that a person
 * mends them in one go.
 */
export interface Diagnostic {
  readonly code: DiagnosticCode;
  /** As the person named it, or as found from what they named. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units, as editors count. */
  readonly column: number;
  /** How many units of that line to point at; at least 1. */
  readonly length: number;
  /** What is wrong, in one sentence without a full stop. */
  readonly message: string;
  /** What would be right, as a phrase that follows "expected"; `null` where the message says it. */
  readonly expected: string | null;
  /** The nearest valid name, where a name is wrong and one is near. */
  readonly nearest: string | null;
}

/** The order in which diagnostics are shown: files as they were first met, then from the top of each. */
export function inReadingOrder(diagnostics: readonly Diagnostic[]): readonly Diagnostic[] {
  const fileOrder = new Map<string, number>();
  for (const { file } of diagnostics) if (!fileOrder.has(file)) fileOrder.set(file, fileOrder.size);
  return diagnostics.toSorted(
    (a, b) => (fileOrder.get(a.file) ?? 0) - (fileOrder.get(b.file) ?? 0) || a.line - b.line || a.column - b.column,
  );
}
