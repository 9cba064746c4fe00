import { parseArgs } from 'node:util';
import { realFaults } from './real/real-faults.ts';
import { runSeed } from './simulation/seeded-run.ts';

/**
 * `npm run faults -- --seeds N [--from SEED]`: so many seeded runs of the commit protocol, each with faults of its own. Ends with one JSON line; where an invariant broke,
 * tells the seed, and all that happened in its run. `--seed SEED` shows one run.
 *
 * `npm run faults -- --real N [--from SEED] [--only WORDS] [--more N] [--bug NAME]`: so many runs of real processes: workers, a Kafka broker, Redis, and
 * ClickHouse for the checker; `--more` faults in each than CI has. A line for each run, and one JSON line at the end.
 */
const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
    real: { type: 'string' },
    only: { type: 'string', default: '' },
    more: { type: 'string', default: '0' },
    bug: { type: 'string', default: '' },
  },
});

const write = (line: string): void => void process.stdout.write(`${line}\n`);

async function show(seed: number): Promise<void> {
  const events: string[] = [];
  const { violation } = await runSeed(seed, null, events);
  for (const event of events) write(event);
  write(`seed ${seed}: ${violation === null ? 'no violation' : `${violation.invariant}: ${violation.what}`}`);
}

if (options.real !== undefined) {
  const totals = await realFaults({
    runs: Number(options.real),
    from: Number(options.from),
    only: options.only,
    moreActs: Number(options.more),
    bug: options.bug,
    onRun: ({ scenario, seed, faults, outputs, violations, logs }) => {
      write(`seed ${seed}: ${scenario}: ${faults} faults, ${outputs} outputs, ${violations.length} violations`);
      for (const { invariant, what } of violations) write(`  ${invariant}: ${what}`);
      if (violations.length > 0) write(logs.trimEnd().split('\n').slice(-40).join('\n'));
    },
  });
  write(JSON.stringify(totals));
  if (totals.violations > 0) process.exitCode = 1;
} else if (options.seed === undefined) {
  const [first, runs] = [Number(options.from), Number(options.seeds)];
  const totals = { runs, faults: 0, violations: 0 };
  for (let seed = first; seed < first + runs; seed++) {
    const { faults, violation } = await runSeed(seed);
    totals.faults += faults;
    if (violation === null) continue;
    totals.violations++;
    if (totals.violations === 1) await show(seed);
    else write(`seed ${seed}: ${violation.invariant}: ${violation.what}`);
  }
  write(JSON.stringify(totals));
  if (totals.violations > 0) process.exitCode = 1;
} else {
  await show(Number(options.seed));
}
