import { nextRunName, runScenario, type RealRunResult } from './run-scenario.ts';
import { scenarios } from './scenarios.ts';
import { ServicesUnderFaults } from './services-under-faults.ts';
import { runTruncatedLog, truncatedLog } from './truncated-log.ts';

/** Which runs to make: so many, their seeds from `from` on, of all scenarios in turn or of those whose name has `only` in it. */
export interface RealFaultsOptions {
  readonly runs: number;
  readonly from: number;
  readonly only: string;
  /** How many more faults than in CI befall each run. */
  readonly moreActs: number;
  /** A planted bug; empty for none. */
  readonly bug: string;
  /** Told of each run when it is over. */
  readonly onRun: (result: RealRunResult) => void;
}

/** Totals over all runs, as the last line of `npm run faults -- --real N` has them. */
export interface RealFaultsTotals {
  readonly runs: number;
  readonly faults: number;
  readonly violations: number;
}

/** Runs scenarios over real processes, one after the other, on one broker. */
export async function realFaults({
  runs,
  from,
  only,
  moreActs,
  bug,
  onRun,
}: RealFaultsOptions): Promise<RealFaultsTotals> {
  const chosen = [...scenarios, null].filter((scenario) => (scenario?.name ?? truncatedLog).includes(only));
  if (chosen.length === 0) throw new Error(`no scenario has "${only}" in its name`);
  await using services = await ServicesUnderFaults.start();
  const totals = { runs, faults: 0, violations: 0 };
  for (let i = 0; i < runs; i++) {
    const scenario = chosen[i % chosen.length] ?? null;
    const result =
      scenario === null
        ? await runTruncatedLog(services, from + i, nextRunName())
        : await runScenario(services, scenario, from + i, { bug, actCount: scenario.actCount + moreActs });
    totals.faults += result.faults;
    totals.violations += result.violations.length;
    onRun(result);
  }
  return totals;
}
