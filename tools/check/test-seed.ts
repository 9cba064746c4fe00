import fc from 'fast-check';

/**
 * Vitest loads this before each test file. Where SLUICE_TEST_SEED is set, every property draws its examples from it, so that two
 * runs of the same tree see the same streams; where it is not, each run draws others, and one that fails names its seed.
 * `.ci/run` takes the seed from the tree (`tree-seed.mjs`), `npm run soak` one after the other.
 *
 * @throws where SLUICE_TEST_SEED is no whole number of 32 bits
 */
function takeSeed(text: string | undefined): void {
  if (text === undefined || text === '') return;
  const seed = Number(text);
  if (!Number.isInteger(seed) || seed !== (seed | 0)) {
    throw new Error(`SLUICE_TEST_SEED must be a whole number of 32 bits; got ${text}`);
  }
  fc.configureGlobal({ ...fc.readConfigureGlobal(), seed });
}

takeSeed(process.env['SLUICE_TEST_SEED']);
