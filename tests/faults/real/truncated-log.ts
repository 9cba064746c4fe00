import { waitUntil } from '../../../tools/services/launched-process.ts';
import type { RealViolation } from './checker.ts';
import { FaultRun, usualShape } from './fault-run.ts';
import { RawAdmin } from './raw-kafka.ts';
import type { RealRunResult } from './run-scenario.ts';
import type { ServicesUnderFaults } from './services-under-faults.ts';

/** What this run is called in lists. */
export const truncatedLog = 'the log is truncated beyond the state';

/**
 * A run in which work must stop (I8): every worker dies with state that is behind its position, then the log loses what the state of one
 * partition would have to be brought up with. That partition's task must halt by name and publish nothing; the others go on.
 */
export async function runTruncatedLog(
  services: ServicesUnderFaults,
  seed: number,
  name: string,
): Promise<RealRunResult> {
  await using run = await FaultRun.start(services, name, seed, { ...usualShape, flushEveryMs: 1_000_000 });
  using admin = new RawAdmin(services.directBroker);
  const positions = (): Promise<Map<number, number>> => admin.positions(run.name, run.input, run.partitions);
  const [victim, before] = await untilStateIsBehind(run, positions);
  const committed = before.get(victim) ?? 0;
  await admin.truncate(run.input, victim, committed);
  run.faults += 2;
  run.startWorker();
  run.startWorker();
  const violations: RealViolation[] = [];
  const halted = new RegExp(`^halted ${victim}: LOG_TRUNCATED `, 'm');
  if (!(await waitUntil(() => halted.test(run.logs), 120_000))) {
    violations.push({ invariant: 'I8', what: 'the task of the truncated partition did not halt by name' });
  }
  const othersGoOn = async (): Promise<boolean> => {
    const now = await positions();
    return [...before].every(([partition, at]) => partition === victim || (now.get(partition) ?? 0) > at);
  };
  if (!(await waitUntil(othersGoOn, 120_000)))
    violations.push({ invariant: 'I9', what: 'another partition stands still' });
  const after = (await positions()).get(victim) ?? 0;
  if (after !== committed) {
    violations.push({ invariant: 'I8', what: `work went on over the gap: from ${committed} to ${after}` });
  }
  const { faults, seenCount: outputs, logs } = run;
  return { scenario: truncatedLog, seed, faults, outputs, violations, logs };
}

/** Kills all workers, and again after a while, until one partition's state is behind its position; gives that partition, and all positions. */
async function untilStateIsBehind(
  run: FaultRun,
  positions: () => Promise<Map<number, number>>,
): Promise<[victim: number, positions: Map<number, number>]> {
  for (;;) {
    await run.progress(300);
    await run.killAll();
    const at = await positions();
    const { heads } = await run.storedState();
    const stateAt = new Map(heads.map(({ partition, offset }) => [partition, offset]));
    for (const [partition, committed] of at) if (committed > (stateAt.get(partition) ?? 0)) return [partition, at];
    run.startWorker();
  }
}
