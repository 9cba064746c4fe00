import { parseArgs } from 'node:util';
import { runSeed } from './simulation/seeded-run.ts';

/**
 * `npm run faults -- --seeds N [--from SEED]`: so many seeded runs of the commit protocol, each with faults of its own. Ends with one JSON line; where an invariant broke,
 * tells the seed, and all that happened in its run. `--seed SEED` shows one run.
 */
const { values: options } = parseArgs({
  options: {
    seeds: { type: 'string', default: '2000' },
    from: { type: 'string', default: '1' },
    seed: { type: 'string' },
  },
});

const write = (line: string): void => void process.stdout.write(`${line}\n`);

async function show(seed: number): Promise<void> {
  const events: string[] = [];
  const { violation } = await runSeed(seed, null, events);
  for (const event of events) write(event);
  write(`seed ${seed}: ${violation === null ? 'no violation' : `${violation.invariant}: ${violation.what}`}`);
}

if (options.seed === undefined) {
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
