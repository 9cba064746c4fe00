import { defineConfig, type ViteUserConfig } from 'vitest/config';
import { missingServices, testsThatNeed } from './tools/check/test-services.ts';

// Kafka's blocking calls sit in libuv's pool (2 for each partition and 8 to spare), which a test's process sizes at its start.
process.env['UV_THREADPOOL_SIZE'] ??= '64';

const resultsFile = process.env['SLUICE_TEST_RESULTS'];

const config: ViteUserConfig = defineConfig({
  test: {
    // Processes, not threads: chDB takes the process down when a thread that used it ends, and Kafka's client loads in one thread only.
    pool: 'forks',
    maxWorkers: 2,
    include: ['{engine,operators,features,learning,simulation,jobs,cli,service,schemas,tests,tools}/**/*.test.ts'],
    exclude: ['**/node_modules/**', 'dist/**', ...missingServices().flatMap(({ service }) => testsThatNeed(service))],
    globalSetup: ['tools/check/announce-services.ts'],
    setupFiles: ['tools/check/test-seed.ts'],
    // Against what hangs, not what is slow: a property that fails shrinks its example for minutes before it can tell of it.
    testTimeout: 240_000,
    hookTimeout: 240_000,
    allowOnly: false,
    reporters: resultsFile === undefined ? ['default'] : ['default', ['json', { outputFile: resultsFile }]],
    coverage: {
      provider: 'v8',
      include: ['{engine,operators,features,learning,simulation,jobs,cli,service}/**/*.ts'],
      exclude: ['**/*.{test,bench,conformance}.ts'],
      reporter: ['text-summary', 'html'],
    },
  },
});

export default config;
