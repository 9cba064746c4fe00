import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { renderDiagnostics } from '../../engine/plan/render-diagnostics.ts';
import { loadTestFile } from '../../jobs/test-files/load-test-file.ts';
import { runTestFile } from '../../jobs/test-files/run-test-file.ts';

const folder = new URL('../../docs/examples/', import.meta.url);
const run = promisify(execFile);

const programs = readdirSync(folder).filter((name) => name.endsWith('.ts'));
const jobs = readdirSync(new URL('jobs/', folder)).filter((name) => !name.endsWith('.test.yaml'));

describe('the examples in TypeScript', () => {
  it.each(programs)('%s prints what it says that it does', async (name) => {
    const path = fileURLToPath(new URL(name, folder));
    const said = /\/\* prints\n([^]*?)\*\//.exec(readFileSync(path, 'utf8'))?.[1];
    const { stdout } = await run(process.execPath, ['--import', 'tsx', path]);
    expect(stdout).toBe(said);
  });

  it('are named on the page of examples, as the jobs are', () => {
    const page = readFileSync(new URL('README.md', folder), 'utf8');
    const links = [...page.matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => target);
    for (const name of [...programs, ...jobs.map((job) => `jobs/${job}`)]) expect(links).toContain(name);
    expect(programs.length + jobs.length).toBeGreaterThanOrEqual(10);
  });
});

describe('the examples in YAML', () => {
  it.each(jobs)('%s does what the test file beside it says', async (name) => {
    const outcome = await loadTestFile(fileURLToPath(new URL(`jobs/${name.replace('.yaml', '.test.yaml')}`, folder)));
    if (!outcome.ok) throw new RangeError(renderDiagnostics(outcome.diagnostics, outcome.sources));
    const results = await runTestFile(outcome.testFile, 'models');
    expect(results.flatMap(({ story }) => (story === '' ? [] : [story]))).toEqual([]);
    expect(results.length).toBeGreaterThan(0);
  });
});
