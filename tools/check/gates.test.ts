import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const configuration = [
  '.dependency-cruiser.cjs',
  '.oxlintrc.json',
  '.prettierignore',
  '.prettierrc.json',
  'knip.json',
  'package-lock.json',
  'package.json',
  'tools/check/lint-rules.mjs',
  'tsconfig.build.json',
  'tsconfig.json',
  'typedoc.json',
];
const rooms = [
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
];

/** A small tree that passes every gate: what a breach is planted in. */
const soundTree = {
  'cli/main.ts': "import { plan } from '../engine/plan.ts';\n\nprocess.stdout.write(plan('text'));\n",
  'engine/plan.ts':
    "/** Names the plan; `sluice` prints it. */\nexport function plan(format: 'text' | 'json'): string {\n  return format;\n}\n",
  'README.md': '# A tree\n\nSee [the plan](engine/plan.ts) and [itself](#a-tree).\n',
};

let tree = '';

function plant(path: string, lines: readonly string[]): void {
  const file = join(tree, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${lines.join('\n')}\n`);
}

/** What one gate says of the tree as it is, and whether it let it pass. */
function gate(name: string): { readonly verdict: 'passed' | 'refused'; readonly words: string } {
  const check = join(root, 'tools', 'check', 'check.mjs');
  const child = spawnSync(process.execPath, [check, '--only', name, '--in', tree], { encoding: 'utf8' });
  return { verdict: child.status === 0 ? 'passed' : 'refused', words: child.stdout + child.stderr };
}

/** Plants one file, asks one gate, and takes the file away again. */
function gateWith(name: string, path: string, lines: readonly string[]): ReturnType<typeof gate> {
  plant(path, lines);
  try {
    return gate(name);
  } finally {
    rmSync(join(tree, path));
  }
}

beforeAll(() => {
  tree = mkdtempSync(join(tmpdir(), 'sluice-gates-'));
  for (const room of rooms) mkdirSync(join(tree, room));
  for (const path of configuration) cpSync(join(root, path), join(tree, path));
  for (const [path, text] of Object.entries(soundTree)) plant(path, text.trimEnd().split('\n'));
  // The packages, but not the tools' caches, which belong to the real tree.
  mkdirSync(join(tree, 'node_modules'));
  for (const name of readdirSync(join(root, 'node_modules'))) {
    if (name !== '.cache') symlinkSync(join(root, 'node_modules', name), join(tree, 'node_modules', name));
  }
});

afterAll(() => {
  rmSync(tree, { recursive: true, force: true });
});

describe('the gates of `npm run check`', () => {
  it.for(['types', 'lint', 'format', 'imports', 'docs', 'tree'])('let a sound tree pass: %s', (name) => {
    expect(gate(name)).toMatchObject({ verdict: 'passed' });
  });

  it('lint: refuses a floating promise, a switch that forgets a case, `any` and `!`', () => {
    const { verdict, words } = gateWith('lint', 'engine/planted.ts', [
      'async function work(): Promise<number> {',
      '  return 1;',
      '}',
      "export function act(kind: 'a' | 'b', values: Map<string, number>): number {",
      '  work();',
      "  const value: any = values.get('k')!;",
      '  switch (kind) {',
      "    case 'a':",
      '      return value;',
      '  }',
      '  return 0;',
      '}',
    ]);
    expect(verdict).toBe('refused');
    for (const rule of [
      'no-floating-promises',
      'switch-exhaustiveness-check',
      'no-explicit-any',
      'no-non-null-assertion',
    ]) {
      expect(words).toContain(rule);
    }
  });

  it('lint: refuses time and chance that are not passed in, but not a date made from a number', () => {
    const { verdict, words } = gateWith('lint', 'engine/planted.ts', [
      'export const taken = [Date.now(), new Date(), Math.random(), globalThis.performance.now()];',
      'setTimeout(() => {}, 1);',
      'export const given = new Date(0);',
    ]);
    expect(verdict).toBe('refused');
    expect(words.match(/sluice\(ambient-time\)/g)).toHaveLength(5);
  });

  it('lint: lets engine/time read the clock', () => {
    const clock = ['export const nowMs = (): number => Date.now();'];
    expect(gateWith('lint', 'engine/time/planted.ts', clock)).toMatchObject({ verdict: 'passed' });
  });

  it('lint: refuses a test that is focused or left out', () => {
    const { words } = gateWith('lint', 'engine/planted.test.ts', [
      "import { expect, it } from 'vitest';",
      "it.only('is alone', () => expect(1).toBe(1));",
      "it.skip('is left out', () => expect(1).toBe(1));",
    ]);
    expect(words).toContain('no-focused-tests');
    expect(words).toContain('no-disabled-tests');
  });

  it('imports: refuses the engine importing an operator, a vendor outside its place, a test in the product, a cycle', () => {
    plant('operators/planted.ts', ["import { Redis } from 'ioredis';", 'export const client: typeof Redis = Redis;']);
    plant('engine/one.ts', [
      "import { client } from '../operators/planted.ts';",
      "import './two.ts';",
      'export const one: unknown = client;',
    ]);
    plant('engine/two.ts', [
      "import { one } from './one.ts';",
      "import './two.test.ts';",
      'export const two: unknown = one;',
    ]);
    plant('engine/two.test.ts', ["import 'semver';", "import 'fast-check';"]);
    const { verdict, words } = gate('imports');
    for (const path of ['operators/planted.ts', 'engine/one.ts', 'engine/two.ts', 'engine/two.test.ts']) {
      rmSync(join(tree, path));
    }
    expect(verdict).toBe('refused');
    for (const rule of [
      'direction-engine',
      'vendor-ioredis',
      'no-tests-in-product',
      'no-cycles',
      'no-undeclared-packages',
    ]) {
      expect(words).toContain(rule);
    }
  });

  it('imports: lets a vendor be imported in its place', () => {
    const store = ["import { Redis } from 'ioredis';", 'export const client: typeof Redis = Redis;'];
    expect(gateWith('imports', 'engine/state/redis/planted.ts', store)).toMatchObject({ verdict: 'passed' });
  });

  it('dead code: refuses an export that nobody uses and a file that nobody imports', () => {
    plant('engine/plan.ts', [
      '/** Used. */',
      "export const plan = (format: 'text'): string => format;",
      '/** Unused. */',
      'export const plannedForNobody = 1;',
    ]);
    const { verdict, words } = gateWith('dead code', 'engine/planted.ts', ['export const alone = 1;']);
    plant('engine/plan.ts', soundTree['engine/plan.ts'].trimEnd().split('\n'));
    expect(verdict).toBe('refused');
    expect(words).toContain('plannedForNobody');
    expect(words).toContain('engine/planted.ts');
  });

  it('docs: refuses an export without a comment and a link that leads nowhere', () => {
    const { verdict, words } = gateWith('docs', 'engine/planted.ts', [
      'export const undocumented = 1;',
      '/** See {@link nothingOfTheSort}. */',
      'export const documented = 1;',
    ]);
    expect(verdict).toBe('refused');
    expect(words).toContain('undocumented');
    expect(words).toContain('nothingOfTheSort');
  });

  it('types: refuses an index that may miss', () => {
    const { verdict, words } = gateWith('types', 'engine/planted.ts', [
      'export const first = (values: readonly number[]): number => values[0];',
    ]);
    expect(verdict).toBe('refused');
    expect(words).toContain('engine/planted.ts');
  });

  it('format: refuses a file that Prettier would lay out otherwise', () => {
    const { verdict, words } = gateWith('format', 'engine/planted.ts', ['export const a = "double quotes"']);
    expect(verdict).toBe('refused');
    expect(words).toContain('engine/planted.ts');
  });

  it('tree: refuses dead links, machine paths, unfinished work and version ranges', () => {
    plant('package.json', [JSON.stringify({ dependencies: { rxjs: '^7.8.2' } })]);
    const { verdict, words } = gateWith('tree', 'docs/planted.md', [
      '[nowhere](nowhere.md) [no heading](../README.md#nothing)',
      '/home/somebody/notes',
      'TODO later',
    ]);
    cpSync(join(root, 'package.json'), join(tree, 'package.json'));
    expect(verdict).toBe('refused');
    for (const part of ['docs/nowhere.md', '#nothing', '/home/somebody/', 'TODO', 'rxjs must be an exact version']) {
      expect(words).toContain(part);
    }
  });
});
