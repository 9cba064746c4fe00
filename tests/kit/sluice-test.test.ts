import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addTestCommand } from '../../cli/commands/test.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));

/** What `sluice test` writes, and the code of the error that it ends with. */
async function sluiceTest(path: string): Promise<{ readonly written: string; readonly code: unknown }> {
  let written = '';
  vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    written += String(chunk);
    return true;
  });
  const program = new Command('sluice');
  addTestCommand(program);
  try {
    await program.parseAsync(['node', 'sluice', 'test', path, '--models', join(top, 'models')]);
    return { written, code: null };
  } catch (error) {
    return { written, code: (error as { readonly code?: unknown }).code };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('sluice test', () => {
  const folders: string[] = [];
  afterEach(async () => {
    for (const folder of folders.splice(0)) await rm(folder, { recursive: true });
  });

  it('names every test of a job file and ends well where all hold', async () => {
    const { written, code } = await sluiceTest(join(top, 'jobs/handbook.yaml'));
    expect(code).toBeNull();
    expect(written).toContain("a customer's windows hold the transaction at hand");
    expect(written).toMatch(/\n3 passed, 0 failed\n$/);
  });

  it('counts what does not hold and files that cannot be run, shows both, and fails', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'sluice-test-'));
    folders.push(folder);
    const job = `job: ${join(top, 'jobs/handbook.yaml')}\n`;
    await writeFile(
      join(folder, 'a.test.yaml'),
      `${job}tests:\n  - { name: wrong, given: [], expectLedger: { read: 1 } }\n`,
    );
    await writeFile(join(folder, 'b.test.yaml'), `${job}tests:\n  - { name: unknown, gven: [] }\n`);
    const { written, code } = await sluiceTest(folder);
    expect(code).toBe('TESTS_FAILED');
    expect(written).toContain('error VALUE_WRONG: read is 0');
    expect(written).toContain('did you mean "given"?');
    expect(written).toMatch(/\n0 passed, 2 failed\n$/);
  });
});
