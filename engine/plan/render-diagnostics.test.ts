import { describe, expect, it } from 'vitest';
import type { Diagnostic } from './diagnostic.ts';
import { diagnosticsToJson, renderDiagnostics } from './render-diagnostics.ts';

const text = 'job: a\nsource:\n  eventTime: { dealy: 10s }\n';
const unknownKey: Diagnostic = {
  code: 'KEY_UNKNOWN',
  file: 'jobs/a.yaml',
  line: 3,
  column: 16,
  length: 5,
  message: '"dealy" is not a key that stands here',
  expected: 'one of field, delay',
  nearest: 'delay',
};

describe('renderDiagnostics', () => {
  it('shows the line with a marker under what is meant', () => {
    expect(renderDiagnostics([unknownKey], new Map([['jobs/a.yaml', text]]))).toBe(
      [
        'jobs/a.yaml:3:16: error KEY_UNKNOWN: "dealy" is not a key that stands here',
        '  3 |   eventTime: { dealy: 10s }',
        '    |                ^^^^^',
        '    = expected one of field, delay',
        '    = did you mean "delay"?',
        '',
        '1 error in 1 file',
        '',
      ].join('\n'),
    );
  });

  it('shows files in the order in which they were met, and each from its top', () => {
    const at = (file: string, line: number): Diagnostic => ({ ...unknownKey, file, line });
    const shown = renderDiagnostics([at('b.yaml', 9), at('a.yaml', 1), at('b.yaml', 2)], new Map());
    expect(shown.match(/^\w\.yaml:\d+/gm)).toEqual(['b.yaml:2', 'b.yaml:9', 'a.yaml:1']);
    expect(shown).toContain('3 errors in 2 files');
  });

  it('is JSON for programs', () => {
    expect(JSON.parse(diagnosticsToJson([unknownKey]))).toEqual([unknownKey]);
  });
});
