import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { renderDiagnostics } from '../../engine/plan/render-diagnostics.ts';
import { findTestFiles } from './find-test-files.ts';
import { loadTestFile } from './load-test-file.ts';
import { runTestFile, type TestResult } from './run-test-file.ts';

const top = fileURLToPath(new URL('../..', import.meta.url));

const job = `job: totals
source:
  topic: payments
  fields: { id: string, card: string, at: timestamp, amount: double }
  key: card
  eventTime: { field: at, delay: 10s }
features: [card]
sinks: [{ topic: totals }]
`;
const windows = job
  .replace(
    'features: [card]',
    `features: none
windows:
  key: card
  tumbling: 1h
  aggregates: { spent: { sum: amount } }`,
  )
  .concat('late: { policy: route, topic: late }\n');
const features = `entity: card
features:
  spent_1h: { sum: amount, over: 1h, current: include }
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-test-files-'));
  for (const name of ['jobs/empty', 'features']) await mkdir(join(folder, name), { recursive: true });
  await writeFile(join(folder, 'jobs/totals.yaml'), job);
  await writeFile(join(folder, 'jobs/strict.yaml'), `${job}deadLetters: fail\n`);
  await writeFile(join(folder, 'jobs/windows.yaml'), windows);
  await writeFile(join(folder, 'features/card.yaml'), features);
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function write(text: string, name = 'totals'): Promise<string> {
  const file = join(folder, `jobs/${name}.test.yaml`);
  await writeFile(file, text);
  return file;
}

/** How the tests of a text ended. */
async function run(text: string, name?: string): Promise<readonly TestResult[]> {
  const outcome = await loadTestFile(await write(text, name));
  if (!outcome.ok) throw new Error(renderDiagnostics(outcome.diagnostics, outcome.sources));
  return runTestFile(outcome.testFile, '');
}

/** What is wrong with a text, as `line:column code message`, with what is near. */
async function problems(text: string): Promise<readonly string[]> {
  const outcome = await loadTestFile(await write(text));
  return outcome.ok
    ? []
    : outcome.diagnostics.map(
        ({ line, column, code, message, nearest }) =>
          `${line}:${column} ${code} ${message}${nearest === null ? '' : ` (${nearest}?)`}`,
      );
}

const findings = (results: readonly TestResult[]): readonly string[] =>
  results.flatMap(({ findings: found }) =>
    found.map(
      ({ line, column, message, expected }) =>
        `${line}:${column} ${message}${expected === null ? '' : `, expected ${expected}`}`,
    ),
  );

describe('test files', () => {
  it('run with what is shipped, every test of it', async () => {
    const files = await findTestFiles([join(top, 'jobs')]);
    expect(files.map((file) => file.slice(top.length))).toEqual(
      expect.arrayContaining(['jobs/fraud-scoring.test.yaml', 'jobs/handbook.test.yaml']),
    );
    for (const file of files) {
      const outcome = await loadTestFile(file);
      if (!outcome.ok) throw new Error(renderDiagnostics(outcome.diagnostics, outcome.sources));
      const results = await runTestFile(outcome.testFile, join(top, 'models'));
      expect(results.length).toBeGreaterThan(0);
      expect(results.map(({ story }) => story).join('')).toBe('');
    }
  });

  it('do what the keys of a step say in the order in which they are written', async () => {
    const results = await run(`
defaults: { card: a, amount: 10 }
tests:
  - name: in order
    steps:
      - given: [{ id: p1, at: 2026-11-22T10:00:00Z }]
        crash: now
        restart: now
      - { given: [{ id: p2, at: 2026-11-22T10:01:00Z }], stop: now, restart: now, advanceClock: 1h }
      - given: [{ id: p3, at: 2026-11-22T10:02:00Z }, 'not JSON']
        expect:
          - { features.spent_1h: 10 }
          - { features: { spent_1h: 20 } }
          - { features.spent_1h: { near: 30.05, within: 0.1 } }
        expectDeadLetters: [{ code: JSON_MALFORMED, value: not JSON }]
        expectLedger: { read: 4, scored: 3, deadLettered: 1 }
`);
    expect(findings(results)).toEqual([]);
  });

  it('point at every value that is not as expected, with what came', async () => {
    const results = await run(`tests:
  - name: wrong
    given:
      - { id: p1, card: a, at: 2026-11-22T10:00:00Z, amount: 10 }
      - { id: p2, card: a, at: 2026-11-22T10:00:01Z, amount: 10 }
    expect:
      - { id: p1, features: { spent_1h: 11 } }
      - { id: p2, features.spent_2h: 20 }
      - { id: p3 }
  - { name: nothing is expected, given: [{ id: p1, card: a, at: 2026-11-22T10:00:00Z, amount: 10 }], expect: [] }
  - { name: holds, given: [], expectLedger: { read: 0 } }
  - { name: ledger, given: [], expectLedger: { read: 7 } }
`);
    expect(findings(results)).toEqual([
      '7:41 features.spent_1h is 10, expected 11',
      '8:38 there is no features.spent_2h, expected 20',
      '9:9 no row came for this one',
      expect.stringMatching(/^10:\d+ a row came that is not expected: \{"id":"p1"/),
      '12:54 read is 0, expected 7',
    ]);
    expect(results.map(({ findings: found }) => found.length)).toEqual([3, 1, 0, 1]);
    expect(results[0]?.findings[1]?.nearest).toBe('features.spent_1h');
    expect(results[0]?.story).toContain('=> checkNewAnswer 3 rows');
    expect(results[0]?.story).toContain('topic totals: 2 rows');
  });

  it('close windows by the watermark, and look at the topic of late records', async () => {
    const results = await run(
      `defaults: { card: a, amount: 10 }
tests:
  - name: a window closes
    steps:
      - { given: [{ id: p1, at: 2026-11-22T10:00:00Z }, { id: p2, at: 2026-11-22T10:59:59Z }], expect: [] }
      - { advanceWatermark: 2026-11-22T11:00:00Z, expect: [{ card: a, spent: 20 }] }
      - { given: [{ id: p3, at: 2026-11-22T10:30:00Z }], expect: [], expectLate: [{ id: p3 }] }
      - { advanceWatermark: 2026-11-22T13:00:00Z, expect: [], expectLedger: { read: 3, scored: 2, late: 1, filtered: 0 } }
`,
      'windows',
    );
    expect(results.map(({ story }) => story).join('')).toBe('');
    expect(findings(results)).toEqual([]);
    const outcome = await loadTestFile(await write('tests: [{ name: a, given: [], expectLate: [] }]'));
    expect(outcome.ok ? '' : outcome.diagnostics[0]?.message).toBe('the job has no topic of late records');
  });

  it('expect the failure of a job that stops at a bad record, and say of one that nobody expected', async () => {
    const results = await run(
      `tests:
  - { name: expected, given: ['not JSON'], expectFailure: BAD_RECORD }
  - { name: not expected, given: ['not JSON'] }
  - { name: another, given: ['not JSON'], expectFailure: TASK_FENCED }
  - { name: none, given: [], expectFailure: BAD_RECORD }
  - { name: too soon, given: [], restart: now }
`,
      'strict',
    );
    const found = findings(results);
    expect(results[0]?.findings).toEqual([]);
    expect(found[0]).toContain('the job must be running; it ended with BAD_RECORD');
    expect(found[1]).toContain('must end with TASK_FENCED; it ended with BAD_RECORD');
    expect(found[2]).toContain('it has not failed');
    expect(found[3]).toContain('TEST_ACTION');
  });

  it('are checked before anything runs: keys, types, names of fields, all at once', async () => {
    expect(
      await problems(`defaults: { crad: a }
tests:
  - name: one
    given: [{ id: p1, amuont: 3 }]
    advanceWatermark: 2026-11-22
    steps: [{ given: [] }]
  - { name: nothing }
  - { name: keys, expectLegder: {} }
`),
    ).toEqual([
      '5:23 VALUE_WRONG "2026-11-22" is no instant',
      '8:19 KEY_UNKNOWN "expectLegder" is not a key that stands here (expectLedger?)',
    ]);
    expect(
      await problems(`defaults: { crad: a }
tests:
  - name: one
    given: [{ id: p1, amuont: 3 }]
    steps: [{ given: [] }]
  - { name: nothing }
`),
    ).toEqual([
      '1:13 NAME_UNKNOWN the job\'s records have no field "crad" (card?)',
      '4:5 VALUE_WRONG a test has "steps" or the keys of one step; here are "steps" and "given"',
      '6:5 KEY_MISSING the test does nothing',
    ]);
    expect(await problems('job: no-such.yaml\ntests: [{ name: a, given: [] }]\n')).toEqual([
      expect.stringContaining('FILE_UNREADABLE there is no file'),
    ]);
  });

  it('are found by their own names, by their jobs, and by folders', async () => {
    const file = await write('tests: [{ name: a, given: [] }]\n');
    const jobs = join(folder, 'jobs');
    expect(await findTestFiles([file, join(jobs, 'totals.yaml')])).toEqual([file]);
    await expect(findTestFiles([join(jobs, 'empty')])).rejects.toMatchObject({ code: 'TEST_FILE_MISSING' });
    await expect(findTestFiles([join(jobs, 'no-such.yaml')])).rejects.toMatchObject({ code: 'TEST_FILE_MISSING' });
    await expect(findTestFiles([join(jobs, 'no-such.test.yaml')])).rejects.toMatchObject({ code: 'TEST_FILE_MISSING' });
  });
});
