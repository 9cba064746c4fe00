import { readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { deadLinks } from './tree-links.mjs';
import { packageProblems } from './tree-packages.mjs';

/**
 * A check of the tree itself, for what no other tool looks at: `node tools/check/tree.mjs` at its top. Prints one line for each
 * problem, `path:line: what must be; what is`, and ends with code 1 if there was any.
 */
const root = process.cwd();
const SKIPPED_FOLDERS = new Set(['node_modules', 'dist', 'coverage', '.git', '.sluice']);
const TEXT =
  /\.(ts|mjs|cjs|js|json|md|ya?ml|sql|avsc|sh|txt|css|html)$|(^|\/)(Makefile|NOTICE|run|sluice|\.[a-z]+rc|\.editorconfig)$/;
const CODE = /\.(ts|mjs|cjs)$/;
const MAX_FILE_BYTES = 5 * 1024 * 1024;

/** Words that must not be in a committed file, with the reason that is printed. */
const FORBIDDEN = [
  { pattern: /(?<![\w.$}])\/(root|home\/[a-z]\w*|Users\/[A-Za-z]\w*)\//, reason: 'names a folder of one machine' },
  { pattern: /^(<{7}|>{7}|={7})( |$)/, reason: 'is left from a merge' },
  { pattern: /\b(TODO|FIXME|HACK|XXX)\b/, reason: 'is unfinished work: finish it or file it as an issue' },
  { pattern: /BEGIN (RSA |EC |OPENSSH )?PRIVATE KEY/, reason: 'is a secret' },
];
/** The checker's own list has the words in it. */
const MAY_NAME_THEM = new Set(['tools/check/tree.mjs', 'tools/check/gates.test.ts', 'LICENSE']);

/** The folder in which this checkout happens to lie is a machine's path as well, unless it is one that every machine has. */
const home = dirname(root);
if (!['/', '/tmp', '/home', '/root', '/opt', '/srv', '/usr'].includes(home)) {
  const escaped = home.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
  FORBIDDEN.push({ pattern: new RegExp(`(?<![\\w.$}/])${escaped}/`), reason: "names this checkout's own place" });
}

function* walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      if (!SKIPPED_FOLDERS.has(entry.name)) yield* walk(path);
    } else if (entry.isFile()) yield path;
  }
}

const problems = [];
const decisionNumbers = new Map();

for (const file of walk(root)) {
  const path = relative(root, file);
  const { size, mode } = statSync(file);
  if (size > MAX_FILE_BYTES) problems.push(`${path}: a file must be at most 5 MiB; it is ${size} bytes`);
  if (['bin/sluice', '.ci/run'].includes(path) && (mode & 0o111) === 0) problems.push(`${path}: must be executable`);
  if (
    CODE.test(path) &&
    dirname(path)
      .split('/')
      .some((folder) => !/^\.?[a-z0-9]+(-[a-z0-9]+)*$/.test(folder) && folder !== '.')
  ) {
    problems.push(`${path}: folders must be named in kebab-case`);
  }

  const decision = /^docs\/adr\/(\d{4})-[a-z0-9-]+\.md$/.exec(path)?.[1];
  if (dirname(path) === 'docs/adr') {
    if (decision === undefined) problems.push(`${path}: a decision must be named NNNN-title-in-kebab-case.md`);
    else if (decisionNumbers.has(decision))
      problems.push(`${path}: number ${decision} is also ${decisionNumbers.get(decision)}`);
    else decisionNumbers.set(decision, basename(path));
  }

  if (!TEXT.test(path) || path === 'package-lock.json' || size > MAX_FILE_BYTES) continue;
  const text = readFileSync(file, 'utf8');
  if (!MAY_NAME_THEM.has(path)) {
    text.split('\n').forEach((content, index) => {
      for (const { pattern, reason } of FORBIDDEN) {
        const found = pattern.exec(content);
        if (found !== null) problems.push(`${path}:${index + 1}: "${found[0].trim()}" ${reason}`);
      }
    });
  }
  if (path.endsWith('.md')) problems.push(...deadLinks(root, path, text));
}

problems.push(...packageProblems(root));

for (const problem of problems) console.log(problem);
if (problems.length > 0) {
  console.log(`${problems.length} problem${problems.length === 1 ? '' : 's'} in the tree`);
  process.exitCode = 1;
}
