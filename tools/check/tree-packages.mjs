import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/;

/**
 * What package.json and its lock file must keep to: exact versions, both files in step, no addresses of a registry in the lock
 * file (whoever installs uses his own), every platform's optional packages, and a decision in `allowScripts` about every package that has an install script.
 *
 * @param {string} root the top of the tree
 * @returns {string[]} one line for each problem
 */
export function packageProblems(root) {
  const problems = [];
  if (!existsSync(join(root, 'package-lock.json'))) return problems;
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const lock = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;

  for (const group of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const [name, version] of Object.entries(manifest[group] ?? {})) {
      if (!EXACT.test(version)) problems.push(`package.json: ${name} must be an exact version; got ${version}`);
      const locked = lock['']?.[group]?.[name];
      if (locked !== version) {
        problems.push(
          `package-lock.json: ${name} must be ${version} as in package.json; got ${locked ?? 'nothing'}; run npm install`,
        );
      }
    }
  }
  for (const [path, { resolved, hasInstallScript, optionalDependencies }] of Object.entries(lock)) {
    const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
    if (resolved !== undefined && /^https?:/.test(resolved)) {
      problems.push(
        `package-lock.json: ${name} must not name where it came from; write the file with omit-lockfile-registry-resolved`,
      );
    }
    for (const optional of Object.keys(optionalDependencies ?? {})) {
      if (lock[`node_modules/${optional}`] === undefined && lock[`${path}/node_modules/${optional}`] === undefined) {
        problems.push(
          `package-lock.json: ${optional} is missing, so npm ci refuses it; run node tools/setup/complete-lock.mjs`,
        );
      }
    }
    if (hasInstallScript === true && typeof manifest.allowScripts?.[name] !== 'boolean') {
      problems.push(`package.json: ${name} has an install script; "allowScripts" must say true or false about it`);
    }
  }
  return problems;
}
