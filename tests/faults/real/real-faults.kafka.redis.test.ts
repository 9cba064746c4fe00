import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nextRunName, runScenario } from './run-scenario.ts';
import { scenarios } from './scenarios.ts';
import { ServicesUnderFaults } from './services-under-faults.ts';
import { runTruncatedLog, truncatedLog } from './truncated-log.ts';

const timeoutMs = 300_000;
const seed = 3;

let services: ServicesUnderFaults;
let faultsDone = 0;

beforeAll(async () => {
  services = await ServicesUnderFaults.start();
});

afterAll(() => services[Symbol.asyncDispose]());

describe('real workers, Kafka, Redis and ClickHouse keep the invariants', () => {
  it.each(scenarios)(
    'where $name',
    async (scenario) => {
      const { faults, violations, logs } = await runScenario(services, scenario, seed, {
        actCount: Math.min(scenario.actCount, 2),
      });
      const said = violations.length === 0 ? '' : logs.slice(-4_000);
      expect({ violations, said }).toEqual({ violations: [], said: '' });
      faultsDone += faults;
    },
    timeoutMs,
  );

  it(
    `where ${truncatedLog}: work stops, by name`,
    async () => {
      expect((await runTruncatedLog(services, seed, nextRunName())).violations).toEqual([]);
    },
    timeoutMs,
  );

  it('and were struck, all in all, at least once a scenario', () => {
    expect(faultsDone).toBeGreaterThanOrEqual(scenarios.length);
  });
});
