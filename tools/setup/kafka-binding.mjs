#!/usr/bin/env node
/**
 * Gets the native binding of `@confluentinc/kafka-javascript` onto this machine: `node tools/setup/kafka-binding.mjs`.
 *
 * In this order, and it stops at the first that gives a binding which loads: what is already there; what an earlier build on
 * this machine left in the cache; the vendor's prebuilt binary, with a limit on the time it may take (its own installer has none,
 * so a host that accepts and then says nothing would hold up the set-up for ever); a build from the sources in the npm package,
 * linked against the system's libraries, since the vendor's default build downloads the sources of five more.
 *
 * Exit code 0: the binding loads. 1: it cannot be had here, and the last lines say why and what to do.
 * `--check` only says whether it loads, and changes nothing.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..', '..');
const packageName = '@confluentinc/kafka-javascript';
const packageDir = join(root, 'node_modules', packageName);
/** The program that the package's own install script would run. */
const installer = join(root, 'node_modules', '@mapbox', 'node-pre-gyp', 'bin', 'node-pre-gyp');
const logFile = join(root, '.sluice', 'kafka-binding.log');

const prebuiltLimitMs = 90_000;
const buildLimitMs = 20 * 60_000;

/** The three files that make a dynamically linked binding whole; the other 60 MB of the build are of no use afterwards. */
const builtFiles = [
  'build/Release/confluent-kafka-javascript.node',
  'build/deps/librdkafka.so.1',
  'build/deps/librdkafka++.so.1',
];

const buildLibraries = [
  'libcurl4-openssl-dev',
  'libssl-dev',
  'libsasl2-dev',
  'zlib1g-dev',
  'libzstd-dev',
  'liblz4-dev',
];
const buildTools = [
  { program: 'make', debian: 'make' },
  { program: 'g++', debian: 'g++' },
  { program: 'python3', debian: 'python3' },
];

const say = (line) => process.stdout.write(`kafka-binding: ${line}\n`);

function fail(line) {
  process.stderr.write(`kafka-binding: ${line}\n`);
  process.exit(1);
}

/** Seconds since this script started, for the person who waits. */
const elapsed = () => `${process.uptime().toFixed(1)} s`;

/**
 * Loads the binding in a process of its own, since a binary made for another Node or with a library missing may end the process.
 *
 * @returns {string | undefined} why it does not load, or undefined where it does
 */
function reasonItDoesNotLoad() {
  if (!existsSync(packageDir)) return `${packageName} is not in node_modules (run \`npm ci\` first)`;
  const child = spawnSync(process.execPath, ['-e', `require(${JSON.stringify(packageDir)})`], {
    cwd: root,
    encoding: 'utf8',
    timeout: 60_000,
  });
  if (child.status === 0) return undefined;
  const words = child.stderr.split('\n').find((line) => /error|cannot|could not/i.test(line));
  return words?.trim() ?? `loading it ended with ${child.signal ?? `exit code ${child.status}`}`;
}

/** Runs a program with all that it prints going to the log file. */
function run(program, args, { env = {}, timeoutMs = buildLimitMs } = {}) {
  appendFileSync(logFile, `\n$ ${program} ${args.join(' ')}\n`);
  const child = spawnSync(program, args, {
    cwd: packageDir,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
    maxBuffer: 256 * 1024 * 1024,
  });
  const output = `${child.stdout ?? ''}${child.stderr ?? ''}${child.error === undefined ? '' : child.error.message}`;
  appendFileSync(logFile, output);
  return { isDone: child.status === 0, isTimedOut: child.error?.code === 'ETIMEDOUT', output };
}

const lastLines = (text, count) => text.trim().split('\n').slice(-count).join('\n');

/** Where a build is kept for the next checkout on this machine: by everything that decides whether the files would fit there. */
function cacheDir() {
  const { version } = JSON.parse(readFileSync(join(packageDir, 'package.json'), 'utf8'));
  const base = process.env.SLUICE_CACHE ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sluice');
  const key = `${version}-abi${process.versions.modules}-${process.platform}-${process.arch}`;
  return join(base, 'kafka-binding', key);
}

function takeFromCache() {
  const dir = cacheDir();
  if (!builtFiles.every((file) => existsSync(join(dir, file)))) return false;
  for (const file of builtFiles) {
    mkdirSync(dirname(join(packageDir, file)), { recursive: true });
    cpSync(join(dir, file), join(packageDir, file));
  }
  if (reasonItDoesNotLoad() === undefined) return true;
  // Made against libraries that this system no longer has: of no use to the next checkout either.
  rmSync(dir, { recursive: true, force: true });
  removeHalfBuilt();
  return false;
}

/** The cache saves a minute and a half another time; a disk that refuses it is no reason to fail. */
function putIntoCache() {
  if (!builtFiles.every((file) => existsSync(join(packageDir, file)))) return;
  try {
    for (const file of builtFiles) {
      mkdirSync(dirname(join(cacheDir(), file)), { recursive: true });
      cpSync(join(packageDir, file), join(cacheDir(), file));
    }
  } catch (error) {
    say(`could not keep the build for the next checkout: ${error.message}`);
  }
}

/** A binary that does not load would make the vendor's installer believe that its work is done. */
function removeHalfBuilt() {
  rmSync(join(packageDir, 'build'), { recursive: true, force: true });
}

function tryPrebuilt() {
  if (!existsSync(installer)) return `the vendor's installer is not in node_modules (run \`npm ci\` first)`;
  const { isDone, isTimedOut, output } = run(process.execPath, [installer, 'install'], { timeoutMs: prebuiltLimitMs });
  if (isDone) return reasonItDoesNotLoad();
  if (isTimedOut) return `its host gave no answer within ${prebuiltLimitMs / 1000} s`;
  return /reason: (.*)/.exec(output)?.[1] ?? lastLines(output, 1);
}

const hasProgram = (program) => spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0;

function missingDebianPackages() {
  const missing = buildTools.filter(({ program }) => !hasProgram(program)).map(({ debian }) => debian);
  for (const name of buildLibraries) {
    const query = spawnSync('dpkg-query', ['-W', '-f', '${db:Status-Status}', name], { encoding: 'utf8' });
    if (query.stdout !== 'installed') missing.push(name);
  }
  return missing;
}

/** Sees to it that the compiler and the libraries are there, or says which are missing and ends. */
function ensureBuildPackages() {
  if (!hasProgram('dpkg-query')) {
    const programs = buildTools.map(({ program }) => program).filter((program) => !hasProgram(program));
    if (programs.length === 0) return;
    fail(
      `could not build: ${programs.join(', ')} not found. Install them and the development files of curl, openssl, ` +
        "cyrus-sasl, zlib, zstd and lz4 with your system's package manager, then run this again",
    );
  }
  const missing = missingDebianPackages();
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0) {
    fail(`could not build: packages are missing. Run \`sudo apt-get install ${missing.join(' ')}\`, then this again`);
  }
  say(`installing ${missing.join(', ')} with apt-get`);
  const install = () =>
    run('apt-get', ['install', '-y', '--no-install-recommends', ...missing], {
      env: { DEBIAN_FRONTEND: 'noninteractive' },
    });
  if (install().isDone) return;
  // A fresh image has no package lists, and an old one has lists that point to what the mirror has since dropped.
  run('apt-get', ['update']);
  const { isDone, output } = install();
  if (!isDone) {
    fail(
      `could not install ${missing.join(', ')}:\n${lastLines(output, 5)}\n` +
        'Install them by hand, then run this again',
    );
  }
}

/** The headers of the Node that runs this, if they came with it: without them the build would download them. */
function headersEnv() {
  const prefix = resolve(dirname(process.execPath), '..');
  return existsSync(join(prefix, 'include', 'node', 'node.h')) ? { npm_config_nodedir: prefix } : {};
}

/**
 * npm's own copy of node-gyp. The build is started by us and not by `npm rebuild`, which runs no script of a package that
 * package.json's `allowScripts` or .npmrc's `ignore-scripts` keeps from running at install time.
 */
function nodeGypEnv() {
  const globalModules = spawnSync('npm', ['root', '-g'], { encoding: 'utf8' }).stdout?.trim() ?? '';
  const npmDirs = [join(globalModules, 'npm')];
  if (process.env.npm_execpath !== undefined) npmDirs.unshift(resolve(dirname(process.env.npm_execpath), '..'));
  const programs = npmDirs.map((dir) => join(dir, 'node_modules', 'node-gyp', 'bin', 'node-gyp.js'));
  const program = programs.find((file) => existsSync(file));
  return program === undefined ? {} : { npm_config_node_gyp: program };
}

function build() {
  const { isDone, isTimedOut, output } = run(process.execPath, [installer, 'install', '--build-from-source'], {
    env: { ...headersEnv(), ...nodeGypEnv(), CKJS_LINKING: 'dynamic' },
  });
  if (isTimedOut) fail(`the build did not end within ${buildLimitMs / 60_000} minutes; its words are in ${logFile}`);
  if (!isDone) {
    fail(
      `could not build the binding (${elapsed()}):\n${lastLines(output, 12)}\nAll of it is in ${logFile}. ` +
        'It needs a C++20 compiler, make, python3, the headers of this Node, and the development files of curl, openssl, ' +
        'cyrus-sasl, zlib, zstd and lz4. The local profile works without it',
    );
  }
}

function main() {
  const reason = reasonItDoesNotLoad();
  if (process.argv.includes('--check')) {
    if (reason !== undefined) fail(`the Kafka client's binding does not load: ${reason}`);
    say("the Kafka client's binding loads");
    return;
  }
  if (reason === undefined) return;
  if (!existsSync(packageDir)) fail(reason);

  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, `${reason}\n`);
  removeHalfBuilt();
  if (takeFromCache()) {
    say(`taken from an earlier build on this machine (${elapsed()})`);
    return;
  }

  say('downloading the prebuilt binding of the Kafka client');
  const prebuiltReason = tryPrebuilt();
  if (prebuiltReason === undefined) {
    say(`downloaded; it loads (${elapsed()})`);
    return;
  }
  removeHalfBuilt();
  say(`the prebuilt one cannot be had (${prebuiltReason})`);

  ensureBuildPackages();
  say("building it from source with the system's libraries; 1.5 to 3 minutes");
  build();
  const builtReason = reasonItDoesNotLoad();
  if (builtReason !== undefined)
    fail(`built, but it does not load: ${builtReason}. The build's words are in ${logFile}`);
  putIntoCache();
  say(`built; it loads (${elapsed()})`);
}

main();
