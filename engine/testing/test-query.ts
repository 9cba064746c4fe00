import { SluiceError, messageOf } from '../error.ts';
import type { LedgerCounts } from '../observability/ledger.ts';
import type { Action, ExpectedFailure } from './action.ts';
import { compareRows, type CompareOptions, type Row, type RowDifference } from './compare-rows.ts';
import { QueryDriver, rowOf } from './query-driver.ts';
import type { QueryUnderTest } from './query-under-test.ts';
import { errorText, renderActions, renderDifferences, renderStory } from './render-story.ts';

/**
 * Runs a list of actions against a query and holds it to what they expect, as Spark's `StreamTest` does. The query is started before the first action, and killed after the
 * last. Each call has a broker and a clock of its own, so tests may run side by side.
 *
 *     await testQuery(totals, [
 *       addData([{ card: 'a', at: 1_000, amount: 5 }]),
 *       crash(),
 *       restart(),
 *       addData([{ card: 'a', at: 2_000, amount: 7 }]),
 *       checkAnswer([{ card: 'a', total: 5 }, { card: 'a', total: 12 }]),
 *     ]);
 *
 * @throws {SluiceError} `TEST_FAILED` at the first action that does not hold; its message shows the list with an arrow at that action, what was expected and what came,
 *   offsets, watermarks, state, and what is in the topics.
 */
export async function testQuery(query: QueryUnderTest, actions: readonly Action[]): Promise<void> {
  await using driver = new QueryDriver(query);
  driver.start();
  const checks = new Checks(driver);
  for (const [index, action] of actions.entries()) {
    const problem = await problemWith(driver, checks, action);
    if (problem === null) continue;
    throw new SluiceError(
      'TEST_FAILED',
      `query ${query.name} is not as the test expects\n\n${renderActions(actions, index)}\n\n${problem}\n\n${renderStory(driver.story)}`,
    );
  }
  const error = driver.takeError();
  if (error !== null && actions.at(-1)?.kind !== 'expectFailure') {
    throw new SluiceError(
      'TEST_FAILED',
      `query ${query.name} must not fail; it ended with ${errorText(error)}\n\n${renderActions(actions, actions.length)}\n\n${renderStory(driver.story)}`,
      { cause: error },
    );
  }
}

/** What is wrong with an action, in words; `null` where all is as it says. */
async function problemWith(driver: QueryDriver, checks: Checks, action: Action): Promise<string | null> {
  switch (action.kind) {
    case 'checkAnswer': {
      const failed = unexpectedEnd(driver);
      if (failed !== null) return failed;
      const differences = checks.answer(action.rows, action.of, action.options.topic, action.options);
      return differences.length === 0 ? null : renderDifferences(differences);
    }
    case 'checkDeadLetters': {
      const differences = checks.deadLetters(action.rows, action.of);
      return differences.length === 0 ? null : renderDifferences(differences);
    }
    case 'checkLedger': {
      const lines = checks
        .ledger(action.counts)
        .map(({ name, expected, got }) => `  ledger: ${name}: expected ${expected}, got ${got}`);
      return lines.length === 0 ? null : lines.join('\n');
    }
    case 'check':
      try {
        action.look(driver.story.view);
        return null;
      } catch (error) {
        return messageOf(error);
      }
    case 'expectFailure':
      return checks.failure(action.failure);
    case 'addData':
    case 'advanceClock':
    case 'advanceWatermark':
    case 'crash':
    case 'crashAt':
    case 'stop':
    case 'restart':
      try {
        await driver.perform(action);
        return null;
      } catch (error) {
        return errorText(error);
      }
  }
}

function unexpectedEnd(driver: QueryDriver): string | null {
  const error = driver.takeError();
  return error === null ? null : `the query must be running; it ended with ${errorText(error)}`;
}

/** A count of the ledger that is not as expected. */
export interface CountDifference {
  readonly name: string;
  readonly expected: number;
  readonly got: number;
}

/** The checks of one test: they remember how far each topic was looked at. */
export class Checks {
  readonly #driver: QueryDriver;
  readonly #checkedRows = new Map<string, number>();

  constructor(driver: QueryDriver) {
    this.#driver = driver;
  }

  /** In what the rows of a topic, all or those since its last check, are not as expected. */
  answer(
    rows: readonly Row[],
    of: 'all' | 'new',
    topic: string | undefined,
    options: CompareOptions,
  ): readonly RowDifference[] {
    const { query, view } = this.#driver.story;
    const name = topic ?? query.outputs[0]?.topic ?? '';
    return compareRows(this.#rowsOf(name, view.rows(name), of), rows, options);
  }

  /** The same for dead letters, whose bytes are shown as text. */
  deadLetters(rows: readonly Row[], of: 'all' | 'new'): readonly RowDifference[] {
    const { query, broker } = this.#driver.story;
    const topic = query.deadLetters?.topic;
    const letters = topic === undefined ? [] : broker.readInOrder(topic).map(({ value }) => withText(rowOf(value)));
    return compareRows(this.#rowsOf(topic ?? '', letters, of), rows);
  }

  /** The counts that are not as expected. */
  ledger(counts: Partial<LedgerCounts>): readonly CountDifference[] {
    const { ledger } = this.#driver.story.view;
    return Object.entries(counts).flatMap(([name, expected]) => {
      const got = ledger[name as keyof LedgerCounts];
      return got === expected ? [] : [{ name, expected, got }];
    });
  }

  /** In what the query's end is not the failure that was expected; `null` where it is. */
  failure({ code, message }: ExpectedFailure): string | null {
    const error = this.#driver.takeError();
    const wanted = `the query must end with ${code}${message === undefined ? '' : ` (${String(message)})`}`;
    if (error === null) return `${wanted}; it has not failed`;
    const isCode = error instanceof SluiceError ? error.code === code : code === (error as Error).name;
    const text = messageOf(error);
    const isMessage =
      message === undefined || (typeof message === 'string' ? text.includes(message) : message.test(text));
    return isCode && isMessage ? null : `${wanted}; it ended with ${errorText(error)}`;
  }

  #rowsOf(topic: string, rows: readonly Row[], of: 'all' | 'new'): readonly Row[] {
    const from = of === 'all' ? 0 : (this.#checkedRows.get(topic) ?? 0);
    this.#checkedRows.set(topic, rows.length);
    return rows.slice(from);
  }
}

function withText(letter: Row): Row {
  const { value } = letter;
  return typeof value === 'string' ? { ...letter, value: Buffer.from(value, 'base64').toString() } : letter;
}
