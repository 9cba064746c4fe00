import { waitUntil } from '../../../tools/services/launched-process.ts';
import type { RealViolation } from './checker.ts';
import { FaultRun, usualShape } from './fault-run.ts';
import { RawAdmin } from './raw-kafka.ts';
import type { RealRunResult } from './run-scenario.ts';
import type { ServicesUnderFaults } from './services-under-faults.ts';

/** What this run is called in lists. */
export const truncatedLog = 'the log is truncated beyond the state';

const halted = /^halted 0: LOG_TRUNCATED /m;

/**
 * A run in which work must stop (I8): every worker dies before any state was written, then the log loses what the state of one partition
 * would have to be rebuilt from. That partition's task must halt by name and publish nothing; the others go on.
 */
export async function runTruncatedLog(
  services: ServicesUnderFaults,
  seed: number,
  name: string,
): Promise<RealRunResult> {
  await using run = await FaultRun.start(services, name, seed, { ...usualShape, flushEveryMs: 1_000_000 });
  await run.progress(300);
  await run.killAll();
  using admin = new RawAdmin(services.directBroker);
  const before = await admin.positions(run.name, run.input, run.partitions);
  const committed = before.get(0) ?? 0;
  await admin.truncate(run.input, 0, Math.ceil(committed / 2));
  run.faults += 2;
  run.startWorker();
  run.startWorker();
  const violations: RealViolation[] = [];
  if (!(await waitUntil(() => halted.test(run.logs), 30_000))) {
    violations.push({ invariant: 'I8', what: 'the task of the truncated partition did not halt by name' });
  }
  const othersGoOn = async (): Promise<boolean> => {
    const now = await admin.positions(run.name, run.input, run.partitions);
    return [1, 2, 3].every((partition) => (now.get(partition) ?? 0) > (before.get(partition) ?? 0));
  };
  if (!(await waitUntil(othersGoOn, 30_000)))
    violations.push({ invariant: 'I9', what: 'another partition stands still' });
  const after = (await admin.positions(run.name, run.input, run.partitions)).get(0) ?? 0;
  if (after !== committed) {
    violations.push({ invariant: 'I8', what: `work went on over the gap: from ${committed} to ${after}` });
  }
  const { faults, seenCount: outputs, logs } = run;
  return { scenario: truncatedLog, seed, faults, outputs, violations, logs };
}
