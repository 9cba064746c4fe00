import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import { nearestName } from '../../engine/plan/nearest-name.ts';
import type { PlanDocument } from '../../engine/plan/plan-document.ts';
import { QueryDriver } from '../../engine/testing/query-driver.ts';
import type { RowDifference } from '../../engine/testing/compare-rows.ts';
import {
  errorText,
  pathText,
  renderActions,
  renderStory,
  shorten,
  valueText,
} from '../../engine/testing/render-story.ts';
import { Checks } from '../../engine/testing/test-query.ts';
import { jobUnderTest, type JobUnderTest } from './job-under-test.ts';
import type { LoadedTest, LoadedTestFile, PlacedAction } from './load-test-file.ts';

/** How one test ended. */
export interface TestResult {
  readonly name: string;
  /** What is not as expected, each at its place in the test file; empty for a test that holds. */
  readonly findings: readonly Diagnostic[];
  /** The actions with an arrow at the one that failed, and all that there was to see then; empty for a test that holds. */
  readonly story: string;
}

/**
 * Runs the tests of a file one after another, each on a broker and a clock of its own; the model is loaded once.
 *
 * @throws {SluiceError} what the job's model throws.
 */
export async function runTestFile(file: LoadedTestFile, modelsDirectory: string): Promise<readonly TestResult[]> {
  await using job = await jobUnderTest(file.job, { modelsDirectory, partitions: file.partitions });
  const results: TestResult[] = [];
  for (const test of file.tests) results.push(await runTest(file.document, job, test));
  return results;
}

async function runTest(document: PlanDocument, job: JobUnderTest, { name, actions }: LoadedTest): Promise<TestResult> {
  await using driver = new QueryDriver(job);
  driver.start();
  const checks = new Checks(driver);
  for (const [index, placed] of actions.entries()) {
    const findings = await findingsOf(document, driver, checks, placed);
    if (findings.length === 0) continue;
    const list = renderActions(
      actions.map(({ action }) => action),
      index,
    );
    return { name, findings, story: `${list}\n\n${renderStory(driver.story)}` };
  }
  const last = actions.at(-1);
  const error = last?.action.kind === 'expectFailure' ? null : driver.takeError();
  if (error === null || last === undefined) return { name, findings: [], story: '' };
  const findings = [endedWith(document, last, error)];
  return { name, findings, story: renderStory(driver.story) };
}

/** Carries an action out, or checks what it expects, and says what is not so. */
async function findingsOf(
  document: PlanDocument,
  driver: QueryDriver,
  checks: Checks,
  placed: PlacedAction,
): Promise<readonly Diagnostic[]> {
  const { action, path } = placed;
  switch (action.kind) {
    case 'checkAnswer': {
      const error = driver.takeError();
      if (error !== null) return [endedWith(document, placed, error)];
      const differences = checks.answer(action.rows, action.of, action.options.topic, action.options);
      return differences.map((difference) => findingOf(document, placed, difference));
    }
    case 'checkDeadLetters':
      return checks.deadLetters(action.rows, action.of).map((difference) => findingOf(document, placed, difference));
    case 'checkLedger':
      return checks.ledger(action.counts).map(({ name, expected, got }) =>
        document.atValue([...path, name], {
          code: 'VALUE_WRONG',
          message: `${name} is ${got}`,
          expected: `${expected}`,
        }),
      );
    case 'expectFailure': {
      const message = checks.failure(action.failure);
      return message === null ? [] : [document.atValue(path, { code: 'VALUE_WRONG', message })];
    }
    case 'check':
      action.look(driver.story.view);
      return [];
    case 'addData':
    case 'advanceClock':
    case 'advanceWatermark':
    case 'crash':
    case 'crashAt':
    case 'stop':
    case 'restart':
      try {
        await driver.perform(action);
        return [];
      } catch (error) {
        return [document.atKey(path, { code: 'VALUE_WRONG', message: errorText(error) })];
      }
  }
}

function endedWith(document: PlanDocument, { path }: PlacedAction, error: unknown): Diagnostic {
  const message = `the job must be running; it ended with ${errorText(error)}`;
  return document.atKey(path, { code: 'VALUE_WRONG', message });
}

/** A difference at the value that was expected. */
function findingOf(document: PlanDocument, { path }: PlacedAction, difference: RowDifference): Diagnostic {
  switch (difference.kind) {
    case 'value': {
      const { row, keys, expected, got, among } = difference;
      const place = [...path, row, ...keys];
      const message = got === undefined ? `there is no ${pathText(keys)}` : `${pathText(keys)} is ${valueText(got)}`;
      const last = String(keys.at(-1) ?? '');
      const nearest = got === undefined ? nearestName(last, among) : null;
      return document.atValue(place, { code: 'VALUE_WRONG', message, expected: valueText(expected), nearest });
    }
    case 'missing': {
      const message = 'no row came for this one';
      return document.atValue([...path, difference.row], { code: 'VALUE_WRONG', message });
    }
    case 'unexpected': {
      const message = `a row came that is not expected: ${shorten(valueText(difference.got))}`;
      return document.atKey(path, { code: 'VALUE_WRONG', message });
    }
  }
}
