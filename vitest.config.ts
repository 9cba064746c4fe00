import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    include: ['{engine,operators,features,learning,simulation,jobs,cli,service,schemas,tests,tools}/**/*.test.ts'],
    testTimeout: 60_000,
  },
});
