import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A checkout of a program of two lines, with the real tools: what set-up and launcher are tried on. */
let checkout = '';

beforeEach(() => {
  checkout = mkdtempSync(join(tmpdir(), 'sluice-checkout-'));
  for (const path of [
    'tools/setup',
    'bin/sluice',
    'tsconfig.json',
    'tsconfig.build.json',
    'package.json',
    'package-lock.json',
  ]) {
    cpSync(join(root, path), join(checkout, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(checkout, 'node_modules'));
  mkdirSync(join(checkout, 'cli'));
  writeMain("process.stdout.write(`${process.argv.slice(2).join(' ')}\\n`);");
});

afterEach(() => {
  rmSync(checkout, { recursive: true, force: true });
});

function writeMain(text: string): void {
  writeFileSync(join(checkout, 'cli', 'main.ts'), `${text}\n`);
}

function sluice(args: readonly string[], command = join(checkout, 'bin', 'sluice')): ReturnType<typeof spawnSync> {
  return spawnSync(command, args, { encoding: 'utf8', cwd: tmpdir() });
}

describe('bin/sluice', () => {
  it('builds what is not built yet, says so on stderr only, and builds once', () => {
    const first = sluice(['a', 'b c']);
    expect(first.stdout).toBe('a b c\n');
    expect(first.stderr).toContain('building for the first time');
    expect(sluice(['again'])).toMatchObject({ stdout: 'again\n', stderr: '', status: 0 });
  });

  it('builds again when a source has changed, copies what lies beside the code, and removes what has no source any more', () => {
    writeFileSync(join(checkout, 'cli', 'gone.ts'), 'export const gone = 1;\n');
    writeFileSync(join(checkout, 'cli', 'words.txt'), 'old');
    sluice([]);
    expect(existsSync(join(checkout, 'dist/cli/gone.js'))).toBe(true);

    writeMain("process.stdout.write('new');");
    writeFileSync(join(checkout, 'cli', 'words.txt'), 'newer');
    rmSync(join(checkout, 'cli', 'gone.ts'));
    const changed = sluice([]);
    expect(changed).toMatchObject({ stdout: 'new', status: 0 });
    expect(changed.stderr).toContain('the sources have changed');
    expect(readFileSync(join(checkout, 'dist/cli/words.txt'), 'utf8')).toBe('newer');
    expect(existsSync(join(checkout, 'dist/cli/gone.js'))).toBe(false);
  });

  it('refuses to run what does not compile, naming the place', () => {
    writeMain("const count: number = 'many'; process.stdout.write(count);");
    const { stdout, stderr, status } = sluice([]);
    expect({ stdout, status }).toEqual({ stdout: '', status: 1 });
    expect(stderr).toContain('cli/main.ts(1,7)');
  });

  it('runs what was built before where it is told not to build', () => {
    sluice([]);
    writeMain('not a program');
    process.env['SLUICE_BUILD'] = 'off';
    try {
      expect(sluice(['old'])).toMatchObject({ stdout: 'old\n', stderr: '', status: 0 });
    } finally {
      delete process.env['SLUICE_BUILD'];
    }
  });

  it('finds its checkout through a chain of symlinks, and passes the exit code on', () => {
    writeMain('process.exitCode = 7;');
    symlinkSync(join(checkout, 'bin', 'sluice'), join(checkout, 'one'));
    symlinkSync('one', join(checkout, 'two'));
    expect(sluice([], join(checkout, 'two')).status).toBe(7);
  });

  it('is one process: a signal sent to it reaches the command', async () => {
    writeMain(
      "process.on('SIGTERM', () => { process.stdout.write('ended'); process.exit(3); });\n" +
        "process.stdin.resume(); process.stdout.write('ready');",
    );
    const child = spawn(join(checkout, 'bin', 'sluice'), { stdio: ['pipe', 'pipe', 'ignore'] });
    let output = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output === 'ready') child.kill('SIGTERM');
    });
    const [code] = (await once(child, 'close')) as [number | null];
    expect({ code, output }).toEqual({ code: 3, output: 'readyended' });
  });
});

describe('the check of the version of Node', () => {
  const underNode = (version: string): ReturnType<typeof spawnSync> =>
    spawnSync(
      process.execPath,
      [
        '-e',
        `Object.defineProperty(process.versions, 'node', { value: '${version}' });` +
          `require(${JSON.stringify(join(root, 'tools/setup/node-version.cjs'))})`,
      ],
      { encoding: 'utf8' },
    );

  it.for(['18.20.4', '20.18.3', '8.0.0'])('refuses %s in words', (version) => {
    const { status, stderr } = underNode(version);
    expect(status).toBe(1);
    expect(stderr).toContain(`needs Node 20.19 or newer`);
    expect(stderr).toContain(version);
  });

  it.for(['20.19.0', '20.20.2', '22.0.0', '24.11.1'])('lets %s pass', (version) => {
    expect(underNode(version)).toMatchObject({ status: 0, stderr: '' });
  });
});

describe('the lock around set-up and build', () => {
  it('lets one process in at a time, and is not held up by one that was killed', async () => {
    const lock = pathToFileURL(join(checkout, 'tools/setup/lock.mjs')).href;
    const log = join(checkout, 'log');
    writeFileSync(log, '');
    mkdirSync(join(checkout, '.sluice'));
    const { pid } = spawnSync(process.execPath, ['-e', '']);
    writeFileSync(join(checkout, '.sluice', 'setup.lock'), String(pid));

    const program = `
      import { appendFileSync } from 'node:fs';
      import { alone } from ${JSON.stringify(lock)};
      await alone(() => {}, async () => {
        appendFileSync(${JSON.stringify(log)}, 'in ');
        await new Promise((resolve) => setImmediate(resolve));
        appendFileSync(${JSON.stringify(log)}, 'out ');
      });`;
    const children = Array.from({ length: 4 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'inherit' }),
    );
    await Promise.all(children.map((child) => once(child, 'close')));
    expect(readFileSync(log, 'utf8')).toBe('in out '.repeat(4));
    expect(existsSync(join(checkout, '.sluice', 'setup.lock'))).toBe(false);
  });
});
