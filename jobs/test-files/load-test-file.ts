import type { Action } from '../../engine/testing/action.ts';
import { near, type Row } from '../../engine/testing/compare-rows.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { checkShape } from '../../engine/plan/check-shape.ts';
import { inReadingOrder, type Diagnostic } from '../../engine/plan/diagnostic.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { DocumentPath, PlanDocument } from '../../engine/plan/plan-document.ts';
import type { SourceTexts } from '../../engine/plan/render-diagnostics.ts';
import type { CheckedJob } from '../checked-job.ts';
import { JobFiles } from '../job-files.ts';
import { loadJob } from '../load-job.ts';
import { stepKeys, testFile, type GivenRow, type StepPart, type TestPart } from './test-file.ts';

/** An action of a test, and where in the file it stands. */
export interface PlacedAction {
  readonly action: Action;
  readonly path: DocumentPath;
}

/** One test, ready to be run. */
export interface LoadedTest {
  readonly name: string;
  readonly actions: readonly PlacedAction[];
}

/** A test file after every check, with the job that it tests. */
export interface LoadedTestFile {
  readonly file: string;
  readonly job: CheckedJob;
  readonly partitions: number;
  readonly tests: readonly LoadedTest[];
  /** For findings of the run: it knows where everything stands. */
  readonly document: PlanDocument;
  readonly sources: SourceTexts;
}

/** A test file, or all that is wrong with it and its job. */
export type TestFileOutcome =
  | { readonly ok: true; readonly testFile: LoadedTestFile }
  | { readonly ok: false; readonly diagnostics: readonly Diagnostic[]; readonly sources: SourceTexts };

const ending = '.test.yaml';

/** Whether a path is a test file's, by its name. */
export function isTestFile(path: string): boolean {
  return path.endsWith(ending);
}

/** The test file that stands beside a job file. */
export function testFileOf(jobFile: string): string {
  return jobFile.replace(/\.yaml$/, ending);
}

/** Reads a test file and the job that it tests, checks both, and gives the tests or everything that is wrong. Changes nothing. */
export async function loadTestFile(path: string): Promise<TestFileOutcome> {
  const files = new JobFiles(path);
  const document = await files.readJob();
  if (document !== null) files.diagnostics.push(...document.diagnostics);
  const parts =
    document === null || files.diagnostics.length > 0
      ? undefined
      : checkShape(document, [], testFile, files.diagnostics);
  if (document === null || parts === undefined) return broken(files.diagnostics, files.sources);
  const jobFile = parts.job === undefined ? path.replace(ending, '.yaml') : files.resolve(parts.job);
  const outcome = await loadJob(jobFile);
  if (!outcome.ok) return broken(outcome.diagnostics, new Map([...files.sources, ...outcome.sources]));
  const { job } = outcome;
  const { defaults = {}, partitions = 1, tests } = parts;
  checkNames(document, ['defaults'], defaults, job, files.diagnostics);
  const loaded = tests.map((test, index) => loadTest(document, ['tests', index], test, { defaults, job, files }));
  if (files.diagnostics.length > 0) return broken(files.diagnostics, files.sources);
  return { ok: true, testFile: { file: path, job, partitions, tests: loaded, document, sources: files.sources } };
}

function broken(diagnostics: readonly Diagnostic[], sources: SourceTexts): TestFileOutcome {
  return { ok: false, diagnostics: inReadingOrder(diagnostics), sources };
}

interface Context {
  readonly defaults: Row;
  readonly job: CheckedJob;
  readonly files: JobFiles;
}

function loadTest(document: PlanDocument, path: DocumentPath, test: TestPart, context: Context): LoadedTest {
  const { name, order = 'as written', steps, ...own } = test;
  const ownKeys = Object.keys(own).filter((key) => key !== 'partition');
  const { diagnostics } = context.files;
  if (steps !== undefined && ownKeys.length > 0) {
    const message = `a test has "steps" or the keys of one step; here are "steps" and "${ownKeys.join('", "')}"`;
    diagnostics.push(document.atKey([...path, ownKeys[0] ?? ''], { code: 'VALUE_WRONG', message }));
  }
  if (steps === undefined && ownKeys.length === 0) {
    const expected = `"steps", or one of ${stepKeys.join(', ')}`;
    diagnostics.push(document.atValue(path, { code: 'KEY_MISSING', message: 'the test does nothing', expected }));
  }
  const actions =
    steps === undefined
      ? actionsOf(document, path, own, order, context)
      : steps.flatMap((step, index) => actionsOf(document, [...path, 'steps', index], step, order, context));
  return { name, actions };
}

/** The actions of a step, in the order in which its keys are written. */
function actionsOf(
  document: PlanDocument,
  path: DocumentPath,
  step: StepPart,
  order: 'as written' | 'any',
  context: Context,
): readonly PlacedAction[] {
  const written = Object.keys(mappingAt(document.value, path));
  const keys = stepKeys.filter((key) => step[key] !== undefined);
  return keys
    .toSorted((a, b) => written.indexOf(a) - written.indexOf(b))
    .map((key) => ({ action: actionOf(document, path, key, step, order, context), path: [...path, key] }));
}

function actionOf(
  document: PlanDocument,
  path: DocumentPath,
  key: (typeof stepKeys)[number],
  step: StepPart,
  order: 'as written' | 'any',
  { defaults, job, files }: Context,
): Action {
  switch (key) {
    case 'given': {
      const rows = (step.given ?? []).map((row: GivenRow, index) => {
        if (typeof row === 'string') return row;
        checkNames(document, [...path, 'given', index], row, job, files.diagnostics);
        return withDefaults(row, defaults, job);
      });
      return { kind: 'addData', rows, options: step.partition === undefined ? {} : { partition: step.partition } };
    }
    case 'advanceClock':
      return { kind: 'advanceClock', durationMs: step.advanceClock ?? 0 };
    case 'advanceWatermark':
      return { kind: 'advanceWatermark', toMs: step.advanceWatermark ?? 0, partition: null };
    case 'crash':
    case 'stop':
      return { kind: key };
    case 'restart':
      return { kind: 'restart', as: null };
    case 'expect':
      return { kind: 'checkAnswer', rows: (step.expect ?? []).map(expectedRow), of: 'new', options: { order } };
    case 'expectLate': {
      const { topic } = job.late;
      if (topic === null) {
        const message = 'the job has no topic of late records';
        files.diagnostics.push(
          document.atKey([...path, key], { code: 'VALUE_WRONG', message, expected: '"late: true" in "expect"' }),
        );
      }
      const rows = (step.expectLate ?? []).map(expectedRow);
      return { kind: 'checkAnswer', rows, of: 'new', options: { order, topic: topic ?? '' } };
    }
    case 'expectAmendments': {
      if (job.amendments === null) {
        const message = 'the job tells no decision anew';
        const expected = '"amendments" in the job';
        files.diagnostics.push(document.atKey([...path, key], { code: 'VALUE_WRONG', message, expected }));
      }
      const rows = (step.expectAmendments ?? []).map(expectedRow);
      return { kind: 'checkAnswer', rows, of: 'new', options: { order, topic: job.amendments?.topic ?? '' } };
    }
    case 'expectDeadLetters':
      return { kind: 'checkDeadLetters', rows: (step.expectDeadLetters ?? []).map(expectedRow), of: 'new' };
    case 'expectLedger': {
      const counts = Object.entries(step.expectLedger ?? {}).filter(([, count]) => count !== undefined);
      return { kind: 'checkLedger', counts: Object.fromEntries(counts) };
    }
    case 'expectFailure':
      return { kind: 'expectFailure', failure: { code: step.expectFailure ?? '' } };
  }
}

/** A row of one of several inputs is `{ orders: {…} }`, and has the defaults of its input. */
function withDefaults(row: Row, defaults: Row, { source }: CheckedJob): Row {
  if (source.kind !== 'inputs') return { ...defaults, ...row };
  return Object.fromEntries(
    Object.entries(row).map(([input, fields]) => [input, { ...rowIn(defaults[input]), ...rowIn(fields) }]),
  );
}

const rowIn = (value: unknown): Row => (typeof value === 'object' && value !== null ? (value as Row) : {});

/** A field that the job does not read would be skipped in silence, and the test would not test what it says. */
function checkNames(
  document: PlanDocument,
  path: DocumentPath,
  row: Row,
  { schema, source }: CheckedJob,
  diagnostics: Diagnostic[],
): void {
  if (source.kind !== 'inputs') {
    checkFieldNames(document, path, row, schema, diagnostics);
    return;
  }
  const { inputs } = source.plan;
  for (const [name, fields] of Object.entries(row)) {
    const input = inputs.find((each) => each.name === name);
    if (input !== undefined) checkFieldNames(document, [...path, name], rowIn(fields), input.schema, diagnostics);
    else {
      const names = inputs.map((each) => each.name);
      const message = `the job has no input "${name}"`;
      const expected = `a record of one of them: { ${names.join(': {…} } or { ')}: {…} }`;
      diagnostics.push(
        document.atKey([...path, name], { code: 'NAME_UNKNOWN', message, expected, nearest: nearestName(name, names) }),
      );
    }
  }
  const [, second] = Object.keys(row);
  if (second === undefined || path[0] === 'defaults') return;
  const message = 'a record is of one input; here are two';
  diagnostics.push(document.atKey([...path, second], { code: 'VALUE_WRONG', message }));
}

function checkFieldNames(
  document: PlanDocument,
  path: DocumentPath,
  row: Row,
  schema: Schema,
  diagnostics: Diagnostic[],
): void {
  const known = schema.fields.map(({ name }) => name);
  const tops = new Set(known.map((name) => name.split('.')[0]));
  for (const name of Object.keys(row)) {
    if (known.includes(name) || tops.has(name)) continue;
    const message = `the job's records have no field "${name}"`;
    const expected = `one of ${known.join(', ')}`;
    diagnostics.push(
      document.atKey([...path, name], { code: 'NAME_UNKNOWN', message, expected, nearest: nearestName(name, known) }),
    );
  }
}

/** A row with its approximate numbers: `{ near: 2.24, within: 0.005 }`. */
function expectedRow(row: Row): Row {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, expectedValue(value)]));
}

function expectedValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(expectedValue);
  if (typeof value !== 'object' || value === null) return value;
  const { near: about, within, ...others } = value as Row;
  const isNear = typeof about === 'number' && typeof within === 'number' && Object.keys(others).length === 0;
  return isNear ? near(about, within) : expectedRow(value as Row);
}

function mappingAt(value: unknown, path: DocumentPath): object {
  let current = value;
  for (const key of path) current = (current as Readonly<Record<string | number, unknown>> | undefined)?.[key];
  return typeof current === 'object' && current !== null ? current : {};
}
