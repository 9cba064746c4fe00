import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const program = fileURLToPath(new URL('ci-summary.mjs', import.meta.url));
const passedTests = { numPassedTests: 12, numFailedTests: 0, numPendingTests: 0, numTodoTests: 0, testResults: [] };
const passedGates = [
  { name: 'types', ok: true, seconds: 1 },
  { name: 'lint', ok: true, seconds: 1 },
];

interface Run {
  readonly tests?: unknown;
  readonly gates?: unknown;
  readonly codes?: readonly [tests: number, gates: number];
}

/** The last line, the lines before it, and the exit code for two reports and the codes that the commands ended with. */
function summarize({ tests, gates, codes = [0, 0] }: Run): {
  readonly last: string | undefined;
  readonly before: readonly string[];
  readonly code: number;
} {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-ci-'));
  try {
    if (tests !== undefined) writeFileSync(join(folder, 'tests.json'), JSON.stringify(tests));
    if (gates !== undefined) writeFileSync(join(folder, 'gates.json'), JSON.stringify(gates));
    const child = spawnSync(process.execPath, [program, folder, ...codes.map(String)], { encoding: 'utf8' });
    const lines = child.stdout.trimEnd().split('\n');
    return { last: lines.pop(), before: lines, code: child.status ?? -1 };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("the last line of CI's run", () => {
  it('counts tests and gates together', () => {
    expect(summarize({ tests: passedTests, gates: passedGates })).toMatchObject({
      last: '14 passed, 0 failed',
      code: 0,
    });
  });

  it('counts failed tests, failed gates and skipped tests', () => {
    const tests = { ...passedTests, numPassedTests: 9, numFailedTests: 2, numPendingTests: 1 };
    const gates = [...passedGates, { name: 'docs', ok: false, seconds: 1 }];
    expect(summarize({ tests, gates, codes: [1, 1] })).toMatchObject({
      last: '11 passed, 3 failed, 1 skipped',
      code: 1,
    });
  });

  it('counts a test file that could not be loaded as a failure', () => {
    const tests = {
      ...passedTests,
      testResults: [{ name: 'a.test.ts', status: 'failed', assertionResults: [] }],
    };
    expect(summarize({ tests, gates: passedGates, codes: [1, 0] })).toMatchObject({
      last: '14 passed, 1 failed',
      code: 1,
    });
  });

  it('names each failed test and what it failed on in one line, near the end, where a log that is cut still has it', () => {
    const failed = {
      status: 'failed',
      fullName: 'a topic is read',
      failureMessages: [`\u001B[31mAssertionError\u001B[39m: expected 1\n  at ${'x'.repeat(900)}`],
    };
    const tests = {
      ...passedTests,
      numFailedTests: 1,
      testResults: [{ name: join(process.cwd(), 'a.test.ts'), status: 'failed', assertionResults: [failed] }],
    };
    const { before } = summarize({ tests, gates: passedGates, codes: [1, 0] });
    const [line = ''] = before.filter((each) => each.startsWith('failed: '));
    expect(line).toMatch(/^failed: a\.test\.ts: a topic is read: AssertionError: expected 1 at x+$/u);
    expect(line.length).toBeLessThan(600);
  });

  it('counts an unhandled rejection, which fails no test, as a failure', () => {
    expect(summarize({ tests: passedTests, gates: passedGates, codes: [1, 0] }).last).toBe('14 passed, 1 failed');
  });

  it('counts runs that broke off without a report as failures', () => {
    expect(summarize({ codes: [2, 1] })).toMatchObject({ last: '0 passed, 2 failed', code: 1 });
  });

  it('does not take a run without a single test for a passed one', () => {
    expect(summarize({ tests: { ...passedTests, numPassedTests: 0 }, gates: passedGates }).code).toBe(1);
  });
});
