import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { stripVTControlCharacters } from 'node:util';

/**
 * Adds up one CI run: `node tools/check/ci-summary.mjs FOLDER TESTS_CODE GATES_CODE`, where FOLDER holds tests.json (Vitest's
 * report) and gates.json (`npm run check -- --results`), and the codes are what the two commands ended with.
 *
 * Each failed test has a line with what it failed on. Its last line is `N passed, N failed`, with `, N skipped` where there are any. A command that failed without a failed test or
 * gate to show for it (a file that could not be loaded, an unhandled rejection, a set-up that broke off) counts as one failure.
 */
const shownCharacters = 500;
const [folder, testsCode, gatesCode] = process.argv.slice(2);

function readReport(name) {
  try {
    return JSON.parse(readFileSync(join(folder, name), 'utf8'));
  } catch {
    return undefined;
  }
}

function countTests() {
  const report = readReport('tests.json');
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0, words: 'tests: no report; see above' };
  const brokenFiles = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  for (const { name } of brokenFiles) console.log(`could not run ${nameOf(name)}`);
  for (const { name, assertionResults } of report.testResults) {
    for (const { status, fullName, failureMessages } of assertionResults) {
      if (status === 'failed') console.log(`failed: ${nameOf(name)}: ${fullName}: ${beginningOf(failureMessages)}`);
    }
  }
  const { numPassedTests: passed, numFailedTests, numPendingTests, numTodoTests } = report;
  const skipped = numPendingTests + numTodoTests;
  const shown = numFailedTests + brokenFiles.length;
  const failed = shown === 0 && (testsCode !== '0' || passed === 0) ? 1 : shown;
  return { passed, failed, skipped, words: `tests: ${passed} passed, ${failed} failed, ${skipped} skipped` };
}

/** A test file's path as the tree has it. */
function nameOf(path) {
  return relative(process.cwd(), path);
}

/** What a test failed on, in one line that is short enough to be kept where a log is cut to its end. */
function beginningOf(messages = []) {
  return stripVTControlCharacters(messages.join(' ')).replaceAll(/\s+/gu, ' ').slice(0, shownCharacters);
}

function countGates() {
  const report = readReport('gates.json');
  if (report === undefined) return { passed: 0, failed: 1, skipped: 0, words: 'gates: no report; see above' };
  const shown = report.filter(({ ok }) => !ok);
  const failed = shown.length === 0 && gatesCode !== '0' ? 1 : shown.length;
  const names = shown.map(({ name }) => name).join(', ');
  const words = `gates: ${report.length - shown.length} passed, ${failed} failed${names === '' ? '' : ` (${names})`}`;
  return { passed: report.length - shown.length, failed, skipped: 0, words };
}

const parts = [countTests(), countGates()];
const sum = (key) => parts.reduce((total, part) => total + part[key], 0);
console.log('');
for (const { words } of parts) console.log(words);
console.log(
  `${sum('passed')} passed, ${sum('failed')} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`,
);
process.exitCode = sum('failed') === 0 ? 0 : 1;
