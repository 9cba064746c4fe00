import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { addRunCommand } from './run.ts';
import { addValidateCommand } from './validate.ts';

const shipped = (name: string): string => fileURLToPath(new URL(`../../jobs/${name}`, import.meta.url));

/** What a command writes, on either stream, and the code of the error that it ends with. */
async function sluice(...args: readonly string[]): Promise<{ readonly written: string; readonly code: unknown }> {
  let written = '';
  for (const stream of [process.stdout, process.stderr]) {
    vi.spyOn(stream, 'write').mockImplementation((chunk) => {
      written += String(chunk);
      return true;
    });
  }
  const program = new Command('sluice');
  addValidateCommand(program);
  addRunCommand(program);
  try {
    await program.parseAsync(['node', 'sluice', ...args]);
    return { written, code: null };
  } catch (error) {
    return { written, code: (error as { readonly code?: unknown }).code };
  } finally {
    vi.restoreAllMocks();
  }
}

describe('sluice validate', () => {
  afterEach(() => vi.restoreAllMocks());

  it('takes each shipped file for what it is', async () => {
    const files = ['fraud-scoring.yaml', 'fraud-scoring.test.yaml', 'clickhouse-sink.yaml'].map(shipped);
    const { written, code } = await sluice('validate', ...files);
    expect(code).toBeNull();
    expect(written).toMatch(/fraud-scoring\.yaml: job fraud-scoring, \d+ features\n/);
    expect(written).toMatch(/fraud-scoring\.test\.yaml: \d+ tests of job fraud-scoring; `sluice test` runs them\n/);
    expect(written).toMatch(/clickhouse-sink\.yaml: sink job clickhouse-sink, \d+ topics; `sluice sink` runs it\n/);
  });

  it('leaves a sink job to the command that runs it, which `sluice run` names', async () => {
    const { written, code } = await sluice('run', shipped('clickhouse-sink.yaml'));
    expect(code).toBe('JOB_INVALID');
    expect(written).toContain('JOB_IS_SINK: this is a sink job');
    expect(written).toMatch(/this one is run by `sluice sink .*clickhouse-sink\.yaml`/);
    expect(written).toContain('1 error in 1 file');
  });
});
