import { existsSync } from 'node:fs';
import { at } from '../setup/paths.mjs';

const ROOMS = [
  'engine',
  'operators',
  'features',
  'learning',
  'simulation',
  'jobs',
  'cli',
  'service',
  'schemas',
  'tests',
  'bench',
  'tools',
];

/** A package's own script of this checkout, run by this Node: no shell and no npm in between. */
const script = (...parts) => [at('node_modules', ...parts)];

/**
 * The gates of `npm run check`, in the order in which they are started: long ones first, two at a time.
 *
 * `name` is what `--only` takes; `checks` says in a few words what it holds the tree to; `args` are for Node.
 */
export const gates = [
  {
    name: 'types',
    checks: 'the compiler, strict',
    args: [...script('typescript', 'bin', 'tsc'), '-p', 'tsconfig.json'],
  },
  {
    name: 'docs',
    checks: 'every export is documented, every link in a comment leads somewhere',
    args: [...script('typedoc', 'bin', 'typedoc'), '--emit', 'none', '--readme', 'none', '--logLevel', 'Warn'],
  },
  {
    name: 'lint',
    checks: 'promises, switches, ambient time and chance',
    args: [...script('oxlint', 'bin', 'oxlint'), '--type-aware', '--deny-warnings', '--format=unix'],
  },
  {
    name: 'format',
    checks: 'Prettier',
    args: [...script('prettier', 'bin', 'prettier.cjs'), '--check', '--cache', '--log-level=warn', '.'],
  },
  {
    name: 'imports',
    checks: 'rooms import one way, a vendor lives in one place, no cycles',
    args: [
      ...script('dependency-cruiser', 'bin', 'dependency-cruise.mjs'),
      '--config=.dependency-cruiser.cjs',
      ...ROOMS.filter((room) => existsSync(at(room))),
    ],
  },
  {
    name: 'dead code',
    checks: 'no unused file, export or dependency',
    args: [...script('knip', 'bin', 'knip.js'), '--no-progress'],
  },
  {
    name: 'tree',
    checks: 'names, sizes, links in prose, pinned versions, forbidden words',
    args: [at('tools', 'check', 'tree.mjs')],
  },
  {
    name: 'tests',
    checks: 'Vitest',
    args: [...script('vitest', 'vitest.mjs'), 'run'],
    alone: true,
  },
];
