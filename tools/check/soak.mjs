import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../setup/paths.mjs';

/**
 * `npm run soak`: the property tests again and again, each round with the next seed, in search of the example that one run in
 * thousands would meet. Prints a line for each test that fails, with the seed that shows it; its last line is one JSON object,
 * `{"rounds":…,"tests":…,"failed":…}`. Ends with code 1 if any failed.
 *
 *   npm run soak -- --for 30m               until then (an hour where nothing is said); a round that has begun is finished
 *   npm run soak -- --from 4000             with the seeds 4000, 4001, …; otherwise from a seed of the time
 *   npm run soak -- operators features      only the tests of these folders
 */
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', '.git', '.sluice']);
const SHOWN_CHARACTERS = 400;
const unitMs = { s: 1_000, m: 60_000, h: 3_600_000 };

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { for: { type: 'string', default: '1h' }, from: { type: 'string' } },
});
const [, amount, unit] = /^(\d+)([smh])$/.exec(values.for) ?? [];
const first = values.from === undefined ? Math.floor(Date.now() / 1_000) % 1_000_000_000 : Number(values.from);
if (amount === undefined || !Number.isInteger(first)) {
  console.error(`--for must be a length of time like 30m, --from a whole number; got ${values.for}, ${values.from}`);
  process.exit(2);
}

/** The files of property tests that need no server. */
function* propertyTests(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) yield* propertyTests(path);
    } else if (path.endsWith('.test.ts') && !/\.(kafka|redis)\./.test(path)) {
      if (/\bfc\.assert\b|\/conformance\b|laws/.test(readFileSync(path, 'utf8'))) yield relative(root, path);
    }
  }
}

const files = [...propertyTests(root)].filter(
  (path) => positionals.length === 0 || positionals.some((folder) => path.startsWith(folder)),
);
const results = join(root, '.sluice', 'soak');
mkdirSync(results, { recursive: true });

const endMs = Date.now() + Number(amount) * unitMs[unit];
const total = { rounds: 0, tests: 0, failed: 0 };
while (Date.now() < endMs) {
  const seed = first + total.rounds;
  const report = join(results, `${seed}.json`);
  const { status } = spawnSync(
    process.execPath,
    ['node_modules/vitest/vitest.mjs', 'run', '--reporter=json', `--outputFile=${report}`, ...files],
    { cwd: root, env: { ...process.env, SLUICE_TEST_SEED: String(seed) }, stdio: 'ignore' },
  );
  const { numTotalTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
  let failed = 0;
  for (const { name, assertionResults } of testResults) {
    for (const { status: outcome, fullName, failureMessages } of assertionResults) {
      if (outcome !== 'failed') continue;
      failed += 1;
      const said = failureMessages.join(' ').replaceAll(/\s+/gu, ' ').slice(0, SHOWN_CHARACTERS);
      console.log(`SLUICE_TEST_SEED=${seed} ${relative(root, name)}: ${fullName}: ${said}`);
    }
  }
  if (status !== 0 && failed === 0) {
    failed = 1;
    console.log(`SLUICE_TEST_SEED=${seed}: the run ended with code ${status}; its report is ${report}`);
  }
  total.rounds += 1;
  total.tests += numTotalTests;
  total.failed += failed;
}
console.log(JSON.stringify(total));
process.exitCode = total.failed === 0 ? 0 : 1;
