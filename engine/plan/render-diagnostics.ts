import { inReadingOrder, type Diagnostic } from './diagnostic.ts';

/** The texts of the files that diagnostics point into, by the name that the diagnostics have. */
export type SourceTexts = ReadonlyMap<string, string>;

/**
 * Diagnostics as a compiler shows them: the place, the sentence, the line with a marker under what is meant, and what to write instead.
 *
 *     jobs/fraud.yaml:12:18: error KEY_UNKNOWN: "dealy" is not a key that stands here
 *       12 |   eventTime: { dealy: 10s }
 *          |                ^^^^^
 *          = expected one of field, delay, idleTimeout
 *          = did you mean "delay"?
 */
export function renderDiagnostics(diagnostics: readonly Diagnostic[], sources: SourceTexts): string {
  const blocks = inReadingOrder(diagnostics).map((diagnostic) => render(diagnostic, sources));
  const count = diagnostics.length === 1 ? '1 error' : `${diagnostics.length} errors`;
  const files = new Set(diagnostics.map(({ file }) => file)).size;
  return `${blocks.join('\n\n')}\n\n${count} in ${files === 1 ? '1 file' : `${files} files`}\n`;
}

/** The same for programs: one object a diagnostic, in the order in which they are shown. */
export function diagnosticsToJson(diagnostics: readonly Diagnostic[]): string {
  return JSON.stringify(inReadingOrder(diagnostics), null, 2);
}

function render(diagnostic: Diagnostic, sources: SourceTexts): string {
  const { file, line, column, length, code, message, expected, nearest } = diagnostic;
  const head = `${file}:${line}:${column}: error ${code}: ${message}`;
  const text = sources.get(file)?.split(/\r?\n/)[line - 1];
  const gutter = ' '.repeat(String(line).length);
  const lines = [head];
  if (text !== undefined) {
    // A tab before the marker stays a tab, so that the marker stands under its word however wide tabs are shown.
    const indent = text.slice(0, column - 1).replaceAll(/[^\t]/g, ' ');
    lines.push(`  ${line} | ${text}`, `  ${gutter} | ${indent}${'^'.repeat(length)}`);
  }
  if (expected !== null) lines.push(`  ${gutter} = expected ${expected}`);
  if (nearest !== null) lines.push(`  ${gutter} = did you mean "${nearest}"?`);
  return lines.join('\n');
}
