import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { SetupFailure } from './failure.mjs';
import { at } from './paths.mjs';
import { run } from './run.mjs';

const STAMP = at('node_modules', '.sluice-setup');
const NATIVE = ['lmdb', 'chdb', 'onnxruntime-node'];

/** What the installed packages depend on: the lock file, and the Node and machine that native ones were checked with. */
function wantedStamp() {
  return {
    lock: createHash('sha256')
      .update(readFileSync(at('package-lock.json')))
      .digest('hex'),
    node: `${process.platform} ${process.arch} ABI ${process.versions.modules}`,
  };
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(STAMP, 'utf8'));
  } catch {
    return {};
  }
}

/**
 * Whether node_modules holds exactly what the lock file names (somebody ran `npm ci` by hand, say): npm leaves a list of what it
 * installed, in which only packages for other platforms may be missing.
 */
function isInstalledByHand() {
  let installed;
  try {
    installed = JSON.parse(readFileSync(at('node_modules', '.package-lock.json'), 'utf8')).packages;
  } catch {
    return false;
  }
  const { '': _top, ...wanted } = JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages;
  return (
    Object.keys(installed).every((path) => path in wanted) &&
    Object.entries(wanted).every(([path, { version, integrity, optional }]) =>
      installed[path] === undefined
        ? optional === true
        : installed[path].version === version && installed[path].integrity === integrity,
    )
  );
}

/** What to do about the ways in which npm is known to fail; the first pattern that its output matches counts. */
const REMEDIES = [
  [
    /ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|network/,
    (registry) =>
      `the npm registry ${registry} could not be reached. Check the network, a proxy (npm config set proxy …) or the registry ` +
      `(npm config set registry …) and run the same command again. Without a network: fill npm's cache elsewhere, copy it here, ` +
      `and run: npm ci --ignore-scripts --offline`,
  ],
  [
    /ENOTCACHED/,
    () =>
      'a package is not in the cache of npm, which was told to work offline. Connect, or unset the npm option "offline".',
  ],
  [
    /E40[13]|E407/,
    (registry) =>
      `the npm registry ${registry} refused access. Log in (npm login), or set another registry (npm config set registry …).`,
  ],
  [/E404|ETARGET/, (registry) => `the npm registry ${registry} does not have a package that package-lock.json names.`],
  [
    /EINTEGRITY/,
    () =>
      'a downloaded package differs from what package-lock.json recorded. Clear the cache (npm cache clean --force) and try again.',
  ],
  [
    /ENOSPC/,
    () => 'the disk is full: about 1.2 GB is needed below this folder, and as much in the cache of npm for a moment.',
  ],
  [/EACCES|EPERM|EROFS/, () => 'a file could not be written: this folder and the cache of npm must belong to you.'],
  [/EUSAGE|in sync/, () => 'package.json and package-lock.json disagree: run `npm install` and commit both.'],
];

async function failureOf(output, log) {
  const registry = (await run('npm', ['config', 'get', 'registry'])).output.trim().split('\n').at(-1);
  const remedy = REMEDIES.find(([pattern]) => pattern.test(output));
  const cause = remedy === undefined ? output.trim().split('\n').slice(-15).join('\n') : remedy[1](registry);
  return new SetupFailure(`could not install the dependencies: ${cause}\n(npm's own words are in ${log})`);
}

async function install(step) {
  const npm = await run('npm', ['--version']);
  if (npm.code !== 0) {
    throw new SetupFailure(
      'npm is not on PATH; it comes with Node (on Debian it is a package of its own: apt-get install npm)',
    );
  }
  const count = Object.keys(JSON.parse(readFileSync(at('package-lock.json'), 'utf8')).packages).length - 1;
  step.note(`npm ci: up to ${count} packages; the first time downloads about 400 MB`);
  // Scripts stay off: every native package of the local profile ships its binary in its npm package. The variable keeps
  // onnxruntime-node from fetching CUDA should somebody turn scripts on.
  const { code, output } = await run(
    'npm',
    [
      'ci',
      '--ignore-scripts',
      '--include=dev',
      '--include=optional',
      '--prefer-offline',
      '--no-audit',
      '--no-fund',
      '--fetch-retries=3',
      '--fetch-retry-mintimeout=1000',
      '--fetch-retry-maxtimeout=3000',
    ],
    { env: { ONNXRUNTIME_NODE_INSTALL: 'skip' }, onStillRunning: () => step.note('npm ci is still at work') },
  );
  if (code !== 0) {
    const log = at('.sluice', 'setup.log');
    mkdirSync(at('.sluice'), { recursive: true });
    writeFileSync(log, output);
    throw await failureOf(output, log);
  }
}

/** Loads each native package in a process of its own, so that one that crashes can be named. */
async function checkNative() {
  for (const name of NATIVE) {
    const { code, output } = await run(process.execPath, ['-e', `require(${JSON.stringify(name)})`]);
    if (code === 0) continue;
    const libc = existsSync('/etc/alpine-release') ? ' with musl' : '';
    throw new SetupFailure(
      `could not load ${name} on ${process.platform} ${process.arch}${libc}, Node ${process.versions.node}: ` +
        `${
          output
            .trim()
            .split('\n')
            .find((line) => line.includes('Error')) ?? `it ended with code ${code}`
        }\n` +
        'Its binary comes inside its npm package, for Linux with glibc (x64, arm64) and macOS (x64, arm64). On such a machine, ' +
        'remove node_modules and run the same command again; on another one, use a Linux container or virtual machine.',
    );
  }
}

/**
 * Makes node_modules hold what package-lock.json names, and checks that the native packages load. Does neither again while the
 * lock file, the Node version and the machine are the same.
 *
 * @param {import('./steps.mjs').Steps} steps
 * @throws {SetupFailure} naming what is in the way and the way out
 */
export async function ensureDependencies(steps) {
  const wanted = wantedStamp();
  const found = readStamp();
  if (found.lock === wanted.lock && found.node === wanted.node) return;
  if (found.lock !== wanted.lock && !isInstalledByHand()) {
    await steps.take('dependencies', install);
  }
  await steps.take('native packages', async (step) => {
    await checkNative();
    step.note(`${NATIVE.join(', ')} load`);
  });
  writeFileSync(STAMP, JSON.stringify(wanted));
}

/** Whether {@link ensureDependencies} would do nothing. */
export function dependenciesAreInPlace() {
  const wanted = wantedStamp();
  const found = readStamp();
  return found.lock === wanted.lock && found.node === wanted.node;
}
