import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { plantedBugs } from '../simulation/planted-bugs.ts';
import { realBugs } from './planted-bugs.ts';
import { runScenario } from './run-scenario.ts';
import { scenarios } from './scenarios.ts';
import { ServicesUnderFaults } from './services-under-faults.ts';

const timeoutMs = 300_000;
/** The first fault that it picks of those at the seams is a kill before the commit: where the first bugs of the list show. */
const seed = 1;
/** A short run first: most bugs show at once, and one that does not is given another. */
const actCount = 2;
const attempts = 6;

let services: ServicesUnderFaults;

beforeAll(async () => {
  services = await ServicesUnderFaults.start();
});

afterAll(() => services[Symbol.asyncDispose]());

function scenarioNamed(name: string): (typeof scenarios)[number] {
  const found = scenarios.find((scenario) => scenario.name === name);
  if (found === undefined) throw new Error(`there is no scenario "${name}"`);
  return found;
}

/** Where each planted bug shows, and the invariants of which at least one must be reported broken. */
const catches: Readonly<Record<keyof typeof realBugs, readonly [scenario: string, ...invariants: string[]]>> = {
  'state is written before the commit': ['workers are killed at the seams of the commit', 'I5', 'I9'],
  'the position is committed outside the transaction': ['workers are killed at the seams of the commit', 'I1'],
  'the position is not committed at all': ['workers are killed at any moment', 'I1'],
  'bad records are passed over without a letter': ['a fifth of the records is poison', 'I12'],
  'totals are added up in Redis': ['workers are killed at the seams of the commit', 'I4', 'I11'],
  'Redis asks nobody who owns the task': [
    'workers are frozen between commit and state write, and wake as zombies',
    'I4',
    'I11',
  ],
  'a replay emits': ['workers are killed at any moment', 'I1'],
  'dead letters are sent outside the transaction': ['a fifth of the records is poison', 'I12'],
  'state is flushed under an offset one flush ahead of it': ['workers are killed at any moment', 'I4', 'I11'],
  'the replay starts at the committed offset, not at the state': ['workers are killed at any moment', 'I4', 'I11'],
};

describe('the harness of real processes is to be believed, since it', () => {
  it.each(Object.entries(catches))(
    'catches the planted bug: %s',
    async (bug, [name, ...invariants]) => {
      // A fault may miss what the bug leaves half done; of a few runs, one must not.
      const found: string[] = [];
      for (let attempt = 0; attempt < attempts; attempt++) {
        const { violations } = await runScenario(services, scenarioNamed(name), seed + attempt, { bug, actCount });
        found.push(...violations.map(({ invariant }) => invariant));
        if (invariants.some((invariant) => found.includes(invariant))) return;
      }
      expect.fail(`${attempts} runs broke ${found.join(', ') || 'nothing'}; expected ${invariants.join(' or ')}`);
    },
    timeoutMs,
  );

  it('catches at least nine bugs, as the simulation does, and every one that was planted has a run that demands it', () => {
    expect(Object.keys(catches).toSorted()).toEqual(Object.keys(realBugs).toSorted());
    expect(Object.keys(realBugs).length).toBeGreaterThanOrEqual(9);
    expect(plantedBugs.length).toBeGreaterThanOrEqual(9);
  });
});
