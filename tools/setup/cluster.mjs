import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { SetupFailure } from './failure.mjs';
import { at } from './paths.mjs';
import { run } from './run.mjs';

const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java';

/** The programs that the cluster profile's tests and `npm run services` start, and the Debian package of each. */
const PROGRAMS = [
  { program: 'redis-server', args: ['--version'], debian: 'redis-server' },
  { program: java, args: ['-version'], debian: 'openjdk-17-jre-headless' },
];
/** What fetches the broker's jars, once. */
const MAVEN = { program: 'mvn', args: ['--version'], debian: 'maven' };

async function canRun(program, args) {
  return (await run(program, args)).code === 0;
}

async function aptInstall(names) {
  const env = { DEBIAN_FRONTEND: 'noninteractive' };
  const update = await run('apt-get', ['update', '-q'], { env });
  const install = await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...names], { env });
  if (install.code !== 0) {
    const words = `${update.code === 0 ? '' : update.output}${install.output}`.trim().split('\n').slice(-8).join('\n');
    throw new SetupFailure(`could not install ${names.join(', ')} with apt-get:\n${words}`);
  }
}

async function installPrograms(missing, step) {
  const packages = missing.map(({ debian }) => debian);
  const isRootOnDebian = process.getuid?.() === 0 && (await canRun('apt-get', ['--version']));
  if (!isRootOnDebian) {
    throw new SetupFailure(
      `the cluster profile needs ${missing.map(({ program }) => program).join(' and ')} on PATH. ` +
        `Install with your system's package manager (on Debian or Ubuntu: sudo apt-get install ${packages.join(' ')}), ` +
        'then run the same command again. The local profile needs none of this.',
    );
  }
  step.note(`apt-get install ${packages.join(' ')}`);
  await aptInstall(packages);
}

/** Whether Node finds the Kafka client's native binding where its package looks for it. */
async function kafkaBindingLoads() {
  return canRun(process.execPath, ['-e', "require('@confluentinc/kafka-javascript')"]);
}

/** Whether the broker's jars were fetched into this checkout (tools/services/kafka-jars.ts keeps them there). */
function hasKafkaJars() {
  const cache = at('.sluice', 'cache');
  return existsSync(cache) && readdirSync(cache).some((name) => /^kafka-\d+(\.\d+)*$/.test(name));
}

async function fetchKafkaJars() {
  const program = "import { kafkaJars } from './tools/services/kafka-jars.ts'; await kafkaJars();";
  const { code, output } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program]);
  if (code !== 0) {
    const words = output.split('\n').find((line) => /Error/.test(line)) ?? output.trim();
    throw new SetupFailure(`could not fetch the Kafka broker's jars: ${words}`);
  }
}

async function makeKafkaBinding(step) {
  const { code, output } = await run(process.execPath, [at('tools', 'setup', 'kafka-binding.mjs')], {
    onLine: (line) => step.note(line.replace(/^kafka-binding: /, '')),
    onStillRunning: () => step.note('still at work'),
  });
  if (code !== 0 || !(await kafkaBindingLoads())) {
    throw new SetupFailure(
      `could not make the Kafka client's binding:\n${output.trim().split('\n').slice(-15).join('\n')}`,
    );
  }
}

/**
 * What the cluster profile needs beyond the local one: redis-server and Java, the jars of the Kafka broker that the tests and
 * `npm run services` start, and the Kafka client's native binding (downloaded, or built in 2 to 3 minutes where it cannot be).
 * Does nothing where all are there.
 *
 * @param {import('./steps.mjs').Steps} steps
 * @throws {SetupFailure} naming what is missing and how to get it
 */
export async function ensureCluster(steps) {
  const missing = [];
  for (const needed of hasKafkaJars() ? PROGRAMS : [...PROGRAMS, MAVEN]) {
    if (!(await canRun(needed.program, needed.args))) missing.push(needed);
  }
  if (missing.length > 0) await steps.take('system packages', (step) => installPrograms(missing, step));
  if (!hasKafkaJars()) await steps.take("the Kafka broker's jars", fetchKafkaJars);
  if (!(await kafkaBindingLoads())) await steps.take("the Kafka client's binding", makeKafkaBinding);
}

/** Whether the Kafka client is usable, without loading it: for the one line that plain set-up prints about it. */
export function hasKafkaBinding() {
  return existsSync(
    at('node_modules', '@confluentinc', 'kafka-javascript', 'build', 'Release', 'confluent-kafka-javascript.node'),
  );
}
