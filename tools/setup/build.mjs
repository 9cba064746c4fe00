import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupFailure } from './failure.mjs';
import { at } from './paths.mjs';
import { run } from './run.mjs';

const ROOMS = ['engine', 'operators', 'features', 'learning', 'simulation', 'jobs', 'cli', 'service', 'schemas'];
const STAMP = at('dist', '.built');
const NOT_PRODUCT = /\.(test|bench|conformance)\.ts$/;

/** Every product file below the rooms, as paths from the top, with its status: about 5 ms for a thousand files. */
function sourceFiles() {
  const files = [];
  const walk = (folder) => {
    for (const entry of readdirSync(at(folder), { withFileTypes: true })) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) walk(path);
      else if (entry.isFile() && !NOT_PRODUCT.test(path)) files.push({ path, status: statSync(at(path)) });
    }
  };
  for (const room of ROOMS) if (existsSync(at(room))) walk(room);
  return files;
}

/** Changes whenever a source, its time, the compiler's options or the installed packages do. */
function fingerprint(files) {
  const hash = createHash('sha256');
  for (const { path, status } of files) hash.update(`${path}\0${status.mtimeMs}\0${status.size}\n`);
  for (const config of ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'])
    hash.update(readFileSync(at(config)));
  return hash.digest('hex');
}

function readStamp() {
  try {
    return readFileSync(STAMP, 'utf8');
  } catch {
    return undefined;
  }
}

/** Whether dist/ was built from the sources as they are now. */
export function isBuilt() {
  return existsSync(STAMP) && readStamp() === fingerprint(sourceFiles());
}

/** What the code reads beside itself (schemas, job files, SQL, models) goes to the same place in dist/, where it changed. */
function copyAssets(files) {
  for (const { path, status } of files) {
    if (path.endsWith('.ts')) continue;
    const target = at('dist', path);
    const there = statSync(target, { throwIfNoEntry: false });
    if (there !== undefined && there.size === status.size && there.mtimeMs >= status.mtimeMs) continue;
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(at(path), target);
  }
}

/** Removes from dist/ what was made from a source that is gone, so that nothing runs that cannot be read. */
function removeOrphans(files) {
  const made = new Set();
  for (const { path } of files) {
    const stem = path.slice(0, -'.ts'.length);
    for (const name of path.endsWith('.ts') ? [`${stem}.js`, `${stem}.js.map`, `${stem}.d.ts`] : [path]) made.add(name);
  }
  for (const room of ROOMS) {
    if (!existsSync(at('dist', room))) continue;
    for (const entry of readdirSync(at('dist', room), { recursive: true, withFileTypes: true })) {
      const path = join(room, join(entry.parentPath, entry.name).slice(at('dist', room).length + 1));
      if (entry.isFile() && !made.has(path)) rmSync(at('dist', path));
    }
  }
}

/**
 * Compiles the product to dist/ and copies its assets there. The compiler keeps its own notes (dist/.tsbuildinfo), so that a
 * second build after an edit takes a second or two.
 *
 * The caller holds the lock (`alone`) and has asked {@link isBuilt} under it.
 *
 * @throws {SetupFailure} with the compiler's errors
 */
export async function build() {
  const files = sourceFiles();
  const stamp = fingerprint(files);
  if (!existsSync(at('dist', 'engine'))) rmSync(at('dist', '.tsbuildinfo'), { force: true });
  const { code, output } = await run(process.execPath, [
    at('node_modules', 'typescript', 'bin', 'tsc'),
    '-p',
    at('tsconfig.build.json'),
  ]);
  if (code !== 0) {
    const lines = output.trim().split('\n');
    const shown = lines.slice(0, 20).join('\n');
    const more = lines.length > 20 ? `\n… and ${lines.length - 20} more lines` : '';
    throw new SetupFailure(
      `could not compile Sluice; mend these errors, or go back to a commit that compiles:\n${shown}${more}`,
    );
  }
  copyAssets(files);
  removeOrphans(files);
  writeFileSync(STAMP, stamp);
  return { fileCount: files.length };
}
