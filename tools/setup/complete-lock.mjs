import { readFileSync, writeFileSync } from 'node:fs';
import { at } from './paths.mjs';

/**
 * Completes package-lock.json after an `npm install`: `node tools/setup/complete-lock.mjs`.
 *
 * Native packages name one optional package for each platform. Where a registry has only some of them (a mirror that was filled
 * from one kind of machine), npm leaves the others out of the lock file, and then `npm ci` refuses that very file ("Missing: …
 * from lock file"). This writes the missing entries: the version is the exact one that the parent asks for, the platform is in
 * the name. They have no integrity, as nobody has seen them; on this platform they are never fetched, on theirs they are.
 */
const LIBC = { gnu: 'glibc', gnueabihf: 'glibc', musl: 'musl', musleabihf: 'musl' };

/** `@oxlint/binding-linux-arm64-musl` → linux, arm64, musl; undefined where the name says no platform. */
function platformOf(name) {
  const found =
    /(?<os>darwin|linux|win32|android|freebsd|openharmony)-(?<cpu>arm64|arm|x64|ia32|ppc64|riscv64|s390x)(-(?<abi>\w+))?$/.exec(
      name,
    );
  if (found === null) return undefined;
  const { os, cpu, abi } = found.groups;
  return { cpu, os, libc: LIBC[abi] };
}

const file = at('package-lock.json');
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = [];
for (const [parent, { optionalDependencies = {}, dev }] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    const path = `node_modules/${name}`;
    if (lock.packages[path] !== undefined || lock.packages[`${parent}/${path}`] !== undefined) continue;
    const platform = platformOf(name);
    if (platform === undefined || !/^\d+\.\d+\.\d+/.test(version)) {
      throw new Error(
        `could not complete package-lock.json: ${name}@${version}, of ${parent}, names no exact version or platform`,
      );
    }
    const { cpu, os, libc } = platform;
    // In npm's own order of keys; what is undefined is not written.
    lock.packages[path] = { version, cpu: [cpu], dev, libc: libc && [libc], optional: true, os: [os] };
    added.push(name);
  }
}
const { '': top, ...packages } = lock.packages;
const sorted = Object.entries(packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
lock.packages = { '': top, ...Object.fromEntries(sorted) };
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added.length === 0 ? 'complete' : `${added.length} entries added`}`);
