import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../setup/paths.mjs';

/**
 * Prints the seed of this tree's property tests, a whole number of 31 bits: a digest of all its TypeScript. `.ci/run` asks for it.
 * The same tree is held to the same examples wherever CI runs; any change of a source draws new ones (docs/adr/0052).
 */
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', '.git', '.sluice']);

function* sources(folder) {
  const entries = readdirSync(join(root, folder), { withFileTypes: true });
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const path = `${folder}${entry.name}`;
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) yield* sources(`${path}/`);
    } else if (entry.name.endsWith('.ts')) yield path;
  }
}

const digest = createHash('sha256');
for (const path of sources(''))
  digest
    .update(path)
    .update('\0')
    .update(readFileSync(join(root, path)))
    .update('\0');
console.log(digest.digest().readUInt32BE(0) >>> 1);
