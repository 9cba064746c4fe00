import fastCheck from 'fast-check';

/**
 * fast-check with few runs, which stands in for it while mutants are tested (test-stand-ins.mjs): a property that is held 1,000 times in the ordinary tests would
 * be held 1,000 times for each mutant. The seed is fixed, so that a mutant lives or dies the same way each time, and a counterexample is not made smaller: nobody reads it.
 */
const mostRuns = Number(process.env['SLUICE_PROPERTY_RUNS'] ?? 10);

const fewer = (options) => ({
  seed: 1,
  ...options,
  numRuns: Math.min(mostRuns, options?.numRuns ?? 100),
  endOnFailure: true,
});

const few = {
  ...fastCheck,
  assert: (property, options) => fastCheck.assert(property, fewer(options)),
  check: (property, options) => fastCheck.check(property, fewer(options)),
};

export const { assert, check } = few;
// oxlint-disable-next-line import/no-default-export -- stands in for a module that has one
export default few;
export * from 'fast-check';
