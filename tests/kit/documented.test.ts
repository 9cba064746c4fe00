import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { renderDiagnostics } from '../../engine/plan/render-diagnostics.ts';
import { loadTestFile } from '../../jobs/test-files/load-test-file.ts';
import { runTestFile } from '../../jobs/test-files/run-test-file.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));

/** The blocks of a language in docs/testing.md. */
async function blocks(language: string): Promise<readonly string[]> {
  const text = await readFile(join(top, 'docs/testing.md'), 'utf8');
  return [...text.matchAll(new RegExp(`\`\`\`${language}\\n(.*?)\`\`\``, 'gs'))].map(([, block = '']) => block);
}

it('the test file that the page shows holds', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-documented-'));
  try {
    const [shown = ''] = await blocks('yaml');
    const file = join(folder, 'shown.test.yaml');
    await writeFile(file, `job: ${join(top, 'jobs/fraud-scoring.yaml')}\n${shown}`);
    const outcome = await loadTestFile(file);
    if (!outcome.ok) throw new Error(renderDiagnostics(outcome.diagnostics, outcome.sources));
    const results = await runTestFile(outcome.testFile, join(top, 'models'));
    expect(results.map(({ findings }) => findings)).toEqual([[]]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

it('every line of code that the page shows is in a test that runs', async () => {
  const examples = await readdir(join(top, 'tests/kit/examples'));
  const files = [...examples.map((name) => `tests/kit/examples/${name}`), 'operators/dedupe/dedupe.laws.test.ts'];
  const texts = await Promise.all(files.map((file) => readFile(join(top, file), 'utf8')));
  const lines = new Set(texts.flatMap((text) => text.split('\n').map((line) => line.trim())));
  const shown = (await blocks('ts')).flatMap((block) => block.split('\n').map((line) => line.trim()));
  expect(shown.length).toBeGreaterThan(20);
  expect(shown.filter((line) => line !== '' && !lines.has(line))).toEqual([]);
});

it('the names by which other packages import the kit lead to its sources', async () => {
  const { exports } = JSON.parse(await readFile(join(top, 'package.json'), 'utf8')) as {
    readonly exports: Readonly<Record<string, string>>;
  };
  const sourceOf = async (name: string): Promise<object> => {
    const built = exports[name] ?? '';
    return (await import(join(top, built.replace('./dist/', '').replace(/\.js$/, '.ts')))) as object;
  };
  expect(await sourceOf('./testing')).toMatchObject({ testQuery: expect.any(Function) });
  expect(await sourceOf('./testing/jobs')).toMatchObject({
    jobUnderTest: expect.any(Function),
    loadJob: expect.any(Function),
  });
  const page = await readFile(join(top, 'docs/testing.md'), 'utf8');
  expect(page).toContain('`sluice/testing`');
  expect(page).toContain('`sluice/testing/jobs`');
});
