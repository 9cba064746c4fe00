import { readdirSync } from 'node:fs';
import { register as registerHooks } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { register as registerTypeScript } from 'tsx/esm/api';
import { collectTests } from './collected-tests.mjs';

/** What a folder has for others, and is tested by them. */
const USERS = {
  'operators/keyed': ['operators/pattern', 'operators/process', 'operators/sessionise'],
  'operators/stateful': ['operators/dedupe', 'operators/window'],
};
/** Tests that take seconds and look at one property of numbers, behind much that other tests look at too: each mutant would wait for them. And those that look for a stream which breaks a law: few runs find none. */
const LEFT_OUT =
  /a million updates of one key|within four standard errors of|a table of all results that has grown|every (row|pane) the watermark has passed|a hundred thousand records|does not hold, since/;
const NEEDS_A_SERVICE = /\.(clickhouse|kafka|redis)\.test\.ts$/;

/** Where the code that Stryker has instrumented counts, and finds out which mutant it is. */
const mutants = (globalThis.__stryker__ ??= {});
/**
 * A mutant that is passed more than Stryker's limit, a hundred times as often as by all tests without it, counts as one that never ends. A twentieth of that is enough to tell, and
 * what never ends takes a twentieth of the time.
 */
const LIMIT_SHARE = 1 / 20;
/** Stryker's numbers for what became of a test. */
const [SUCCESS, FAILED] = [0, 1];

function testFiles() {
  const mutated = process.env['SLUICE_MUTATE'];
  const folder = mutated.endsWith('.ts') ? dirname(mutated) : mutated;
  return [folder, ...(USERS[folder] ?? [])].flatMap((tested) =>
    readdirSync(tested, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.test.ts') && !NEEDS_A_SERVICE.test(name))
      .sort()
      .map((name) => join(tested, name)),
  );
}

/**
 * Runs the tests of one folder in this process, which Stryker starts for it: the tests and what they test are loaded once, and a mutant is a number that the instrumented code
 * compares. That takes a tenth of the time of Vitest, which loads everything anew for each mutant. What a mutant leaves behind in the memory of a module would be seen by the next one; the operators
 * keep nothing there.
 */
class FolderTestRunner {
  /** `null` where they are to be loaded, anew if they were before. */
  #tests = null;
  #loadings = 0;
  /** How long tests took, so that the quickest look at a mutant first. */
  #timesMs = new Map();

  capabilities() {
    return { reloadEnvironment: true };
  }

  async dryRun() {
    const tests = [];
    for (const test of await this.#load()) {
      mutants.currentTestId = test.id;
      tests.push(await this.#run(test));
      mutants.currentTestId = undefined;
    }
    return { status: 'complete', tests, mutantCoverage: mutants.mutantCoverage };
  }

  async mutantRun({ activeMutant, testFilter, hitLimit: strykerLimit, mutantActivation }) {
    const hitLimit = strykerLimit === undefined ? undefined : Math.ceil(strykerLimit * LIMIT_SHARE);
    // A mutant in what is computed while a module is loaded must be there before, and gone from the modules afterwards.
    const isStatic = mutantActivation === 'static';
    if (isStatic) this.#tests = null;
    mutants.activeMutant = isStatic ? activeMutant.id : undefined;
    mutants.hitCount = undefined;
    const all = await this.#load();
    if (isStatic) this.#tests = null;
    mutants.activeMutant = activeMutant.id;
    mutants.hitLimit = hitLimit;
    mutants.hitCount = hitLimit === undefined ? undefined : 0;
    const chosen = testFilter === undefined ? all : all.filter(({ id }) => testFilter.includes(id));
    const quickestFirst = chosen.toSorted((a, b) => (this.#timesMs.get(a.id) ?? 0) - (this.#timesMs.get(b.id) ?? 0));
    for (const [index, test] of quickestFirst.entries()) {
      const { status, failureMessage } = await this.#run(test);
      if (mutants.hitCount > hitLimit) return { status: 'timeout', reason: `passed more than ${hitLimit} times` };
      if (status === FAILED) return { status: 'killed', killedBy: [test.id], failureMessage, nrOfTests: index + 1 };
    }
    return { status: 'survived', nrOfTests: chosen.length };
  }

  async #load() {
    if (this.#tests !== null) return this.#tests;
    if (this.#loadings++ === 0) {
      // A mutant may leave a promise behind that nobody waits for; it has been noticed, or it has not.
      process.on('unhandledRejection', () => {});
      registerTypeScript();
      registerHooks(new URL('test-stand-ins.mjs', import.meta.url));
    }
    const loaded = [];
    for (const file of testFiles()) {
      const path = resolve(file);
      const tests = await collectTests(() => import(`${pathToFileURL(path).href}?loading=${this.#loadings}`));
      for (const { name, test } of tests) {
        if (!LEFT_OUT.test(name)) loaded.push({ id: `${path}#${name}`, name, file: path, test });
      }
    }
    this.#tests = loaded;
    return loaded;
  }

  async #run({ id, name, file, test }) {
    const startMs = performance.now();
    let failureMessage;
    try {
      await test();
    } catch (error) {
      failureMessage = String(error?.message ?? error);
    }
    const timeSpentMs = performance.now() - startMs;
    this.#timesMs.set(id, timeSpentMs);
    const result = { id, name, fileName: file, timeSpentMs };
    return failureMessage === undefined
      ? { ...result, status: SUCCESS }
      : { ...result, status: FAILED, failureMessage };
  }
}

export const strykerPlugins = [{ kind: 'TestRunner', name: 'folder', injectableClass: FolderTestRunner }];
