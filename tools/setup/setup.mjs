import { build, isBuilt } from './build.mjs';
import { ensureCluster, hasKafkaBinding } from './cluster.mjs';
import { dependenciesAreInPlace, ensureDependencies } from './dependencies.mjs';
import { SetupFailure } from './failure.mjs';
import { alone } from './lock.mjs';
import { Steps } from './steps.mjs';

/**
 * `make setup`: everything that the local profile needs on a machine with only Node. `--cluster` (`make setup-cluster`) adds
 * what the Kafka and Redis profile needs; so does SLUICE_REQUIRE_SERVICES=1, which CI sets. What is in place is left alone.
 */
const withCluster = process.argv.includes('--cluster') || process.env.SLUICE_REQUIRE_SERVICES === '1';
const say = (line) => process.stdout.write(`${line}\n`);

async function setUp(steps) {
  await ensureDependencies(steps);
  if (withCluster) await ensureCluster(steps);
  if (!isBuilt()) {
    await steps.take('build', async (step) =>
      step.note(`${(await build()).fileCount} files compiled or copied to dist/`),
    );
  }
}

const steps = new Steps(say);
const node = `Node ${process.versions.node}, ${process.platform} ${process.arch}`;
try {
  if (!dependenciesAreInPlace() || !isBuilt() || withCluster) {
    await alone(say, () => {
      if (!dependenciesAreInPlace() || !isBuilt()) say(`Setting Sluice up (${node})`);
      return setUp(steps);
    });
  }
  if (!withCluster && !hasKafkaBinding() && steps.taken > 0) {
    say(
      '  Kafka client: left out, the local profile does not need it; `make setup-cluster` adds what the cluster profile does',
    );
  }
  say(steps.taken === 0 ? `Sluice is set up (${node})` : `Sluice is set up, in ${steps.elapsed}`);
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  process.stderr.write(`\nset-up: ${error.message}\n`);
  process.exitCode = 1;
}
