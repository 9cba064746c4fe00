import type { Command } from 'commander';
import pc from 'picocolors';
import { SluiceError } from '../../engine/error.ts';
import { renderDiagnostics } from '../../engine/plan/render-diagnostics.ts';
import { findTestFiles } from '../../jobs/test-files/find-test-files.ts';
import { loadTestFile } from '../../jobs/test-files/load-test-file.ts';
import { runTestFile } from '../../jobs/test-files/run-test-file.ts';
import { modelsDirectory, type ModelsOption } from '../models-directory.ts';

/** `sluice test`: runs the test files that stand beside job files. */
export function addTestCommand(program: Command): void {
  program
    .command('test')
    .description('run test files: records that a job is given, and what it must make of them')
    .argument('<path...>', 'test files (NAME.test.yaml), job files that have one beside them, or folders')
    .option(...modelsDirectory)
    .action(runTests);
}

interface Tally {
  readonly passed: number;
  readonly failed: number;
}

async function runTests(paths: string[], { models }: ModelsOption): Promise<void> {
  let passed = 0;
  let failed = 0;
  for (const file of await findTestFiles(paths)) {
    const tally = await runFile(file, models);
    passed += tally.passed;
    failed += tally.failed;
  }
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  if (failed > 0)
    throw new SluiceError('TESTS_FAILED', `every test must hold; ${failed} of ${passed + failed} did not`);
}

/** Runs one file's tests; a file that cannot be run counts as one that failed. */
async function runFile(path: string, models: string): Promise<Tally> {
  process.stdout.write(`${pc.bold(path)}\n`);
  const outcome = await loadTestFile(path);
  if (!outcome.ok) {
    process.stdout.write(`${indented(renderDiagnostics(outcome.diagnostics, outcome.sources))}\n`);
    return { passed: 0, failed: 1 };
  }
  const { testFile } = outcome;
  const results = await runTestFile(testFile, models);
  for (const { name, findings, story } of results) {
    if (findings.length === 0) {
      process.stdout.write(`  ${pc.green('ok')}      ${name}\n`);
      continue;
    }
    const what = renderDiagnostics(findings, testFile.sources);
    process.stdout.write(`  ${pc.red('FAILED')}  ${name}\n${indented(`${what}\n${story}`)}\n`);
  }
  const failed = results.filter(({ findings }) => findings.length > 0).length;
  return { passed: results.length - failed, failed };
}

function indented(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => (line === '' ? '' : `          ${line}`))
    .join('\n');
}
