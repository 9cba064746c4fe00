import { acts } from './acts.ts';
import type { RealViolation } from './checker.ts';
import { FaultRun } from './fault-run.ts';
import type { Scenario } from './scenarios.ts';
import type { ServicesUnderFaults } from './services-under-faults.ts';

/** What came of a run. */
export interface RealRunResult {
  readonly scenario: string;
  readonly seed: number;
  readonly faults: number;
  /** Outputs and dead letters. */
  readonly outputs: number;
  readonly violations: readonly RealViolation[];
  /** What the workers said. */
  readonly logs: string;
}

let runs = 0;

/** A name for a run's topics, group and databases. */
export function nextRunName(): string {
  return `run-${process.pid}-${runs++}`;
}

/** One run of a scenario: what befalls it, and in what order, is of the seed; when exactly, of the machine. `bug` names one to plant. */
export async function runScenario(
  services: ServicesUnderFaults,
  scenario: Scenario,
  seed: number,
  { bug = '', actCount = scenario.actCount }: { readonly bug?: string; readonly actCount?: number } = {},
): Promise<RealRunResult> {
  const shape = { ...scenario.shape, bug };
  await using run = await FaultRun.start(services, nextRunName(), seed, shape);
  for (let i = 0; i < actCount; i++) {
    const name = run.random.pick(scenario.acts);
    await acts[name](run);
    // Something must have come of it before the next: otherwise workers that only ever start would never be struck at work.
    await run.progress(20 + run.random.below(200), 6_000);
  }
  const violations = await run.finish();
  const { faults, seenCount: outputs, logs } = run;
  return { scenario: scenario.name, seed, faults, outputs, violations, logs };
}
