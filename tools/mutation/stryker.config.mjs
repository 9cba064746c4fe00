import { reportOf, resultsOf, sandboxOf } from './reports.mjs';

/** What `mutation.mjs` asks for: a folder of the checkout, or one file. */
const mutated = process.env['SLUICE_MUTATE'];

// oxlint-disable-next-line import/no-default-export -- what Stryker asks for
export default {
  testRunner: 'folder',
  plugins: ['./test-runner.mjs', './ignore-assert-messages.mjs'].map((plugin) => import.meta.resolve(plugin)),
  ignorers: ['assert-messages'],
  mutate: mutated.endsWith('.ts') ? [mutated] : [`${mutated}/*.ts`, `!${mutated}/*.test.ts`],
  coverageAnalysis: 'perTest',
  concurrency: Number(process.env['SLUICE_MUTATION_RUNNERS']),
  reporters: ['json', 'progress-append-only'],
  jsonReporter: { fileName: reportOf(mutated) },
  incremental: true,
  incrementalFile: resultsOf(mutated),
  tempDirName: sandboxOf(mutated),
  // What no test of an operator reads: Stryker copies the tree.
  ignorePatterns: [
    '.sluice',
    'bench',
    'cli',
    'deploy',
    'dist',
    'docs',
    'features',
    'jobs',
    'learning',
    'models',
    'service',
    'simulation',
    'tests',
  ],
  // Node and Vitest take the types away without looking at them.
  disableTypeChecks: false,
  // A mutant that never ends is mostly found by how often it is passed; the clock is for the rest, and must bear a machine that does much else.
  timeoutMS: 10_000,
  timeoutFactor: 2,
  dryRunTimeoutMinutes: 30,
  allowConsoleColors: false,
};
