import { existsSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { build, isBuilt } from './build.mjs';
import { SetupFailure } from './failure.mjs';
import { alone } from './lock.mjs';
import { at } from './paths.mjs';

/**
 * Runs the `sluice` command in this very process (so that signals, the terminal and the exit code are its own), building it
 * first where dist/ is missing or older than the sources. What the build says goes to stderr: stdout belongs to the command.
 *
 * `SLUICE_BUILD=off` runs what dist/ holds, as it is: for an image that was built elsewhere, or in the middle of an edit.
 */
const main = at('dist', 'cli', 'main.js');
const say = (line) => process.stderr.write(`sluice: ${line}\n`);

async function buildIfStale() {
  if (process.env.SLUICE_BUILD === 'off' || !existsSync(at('tsconfig.build.json')) || isBuilt()) return;
  if (!existsSync(at('node_modules', 'typescript'))) {
    throw new SetupFailure(`the dependencies are not installed; run \`make setup\` in ${at()}`);
  }
  await alone(say, async () => {
    if (isBuilt()) return;
    const startMs = performance.now();
    say(existsSync(main) ? 'the sources have changed; building …' : 'building for the first time …');
    await build();
    say(`built in ${((performance.now() - startMs) / 1000).toFixed(1)} s`);
  });
}

try {
  await buildIfStale();
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  say(error.message);
  process.exit(1);
}
// As if it had been started by `node dist/cli/main.js`, so that a command that starts workers can use argv[1].
process.argv[1] = main;
await import(pathToFileURL(main).href);
