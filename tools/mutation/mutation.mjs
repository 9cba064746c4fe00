import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { at } from '../setup/paths.mjs';
import { run } from '../setup/run.mjs';
import { forgetSurvivors, readReport, reportOf, scoreOf } from './reports.mjs';

/** The core operators: what issue 4 sets the floor for. */
const CORE = [
  'rolling',
  'aggregate',
  'window',
  'dedupe',
  'stateful',
  'derive',
  'filter',
  'key',
  'join',
  'pattern',
  'sessionise',
  'process',
  'keyed',
].map((name) => `operators/${name}`);

/** The score, in per cent, below which the command fails. */
const FLOOR = 85;
const USAGE = `npm run mutation [-- [folder or file …] [--runs N] [--runners N] [--again | --retry] [--survivors] [--report]]

  folder       operators/filter, say, or a file, operators/rolling/row-store.ts; without one, all core operators
  --runs       runs of each property, 10 unless said: more find more, and take longer
  --runners    processes that test mutants at once, 1 unless said
  --again      tests every mutant, not only those that an edit since the last run may concern
  --retry      … and every mutant that survived the last run: to give them more runs
  --survivors  prints each mutant that no test noticed
  --report     runs nothing: prints what the last runs found`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    runs: { type: 'string', default: '10' },
    runners: { type: 'string', default: '1' },
    again: { type: 'boolean', default: false },
    retry: { type: 'boolean', default: false },
    survivors: { type: 'boolean', default: false },
    report: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function fail(message) {
  console.error(message);
  process.exit(1);
}

/** Installs this folder's own packages unless those of its lock file are there. */
async function ensureStryker() {
  const stamp = at('tools/mutation/node_modules/.installed');
  const wanted = createHash('sha256')
    .update(readFileSync(at('tools/mutation/package-lock.json')))
    .digest('hex');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  console.log('installing Stryker into tools/mutation (about 65 MB)');
  const { code, output } = await run('npm', ['ci'], { cwd: at('tools/mutation') });
  if (code !== 0) fail(`could not install Stryker: npm ci in tools/mutation ended with code ${code}\n${output}`);
  writeFileSync(stamp, wanted);
}

async function mutate(folder) {
  const log = at(`${reportOf(folder)}.log`);
  mkdirSync(dirname(log), { recursive: true });
  rmSync(at(reportOf(folder)), { force: true });
  if (options.retry) forgetSurvivors(folder);
  const stryker = at('tools/mutation/node_modules/@stryker-mutator/core/bin/stryker.js');
  let progress = '';
  const { code, output } = await run(
    process.execPath,
    [stryker, 'run', 'tools/mutation/stryker.config.mjs', ...(options.again ? ['--force'] : [])],
    {
      env: {
        SLUICE_MUTATE: folder,
        SLUICE_MUTATION_RUNNERS: options.runners,
        SLUICE_PROPERTY_RUNS: options.runs,
      },
      onLine: (line) => {
        if (line.startsWith('Mutation testing')) progress = line.replace('Mutation testing', folder);
      },
      onStillRunning: () => {
        if (progress !== '') console.log(progress);
      },
    },
  );
  writeFileSync(log, output);
  if (code !== 0)
    fail(`could not test the mutants of ${folder}: Stryker ended with code ${code}; its words are in ${log}`);
}

function printTable(rows) {
  const head = ['mutated', 'killed', 'timeout', 'survived', 'no coverage', 'score'];
  const cells = rows.map(({ folder, counts }) => [
    folder,
    counts.Killed,
    counts.Timeout,
    counts.Survived,
    counts.NoCoverage,
    `${scoreOf(counts).toFixed(2)} %`,
  ]);
  for (const row of [head, head.map(() => '---'), ...cells]) console.log(`| ${row.join(' | ')} |`);
}

if (options.help) {
  console.log(USAGE);
  process.exit(0);
}
const folders = positionals.length > 0 ? positionals.map((folder) => folder.replace(/\/+$/, '')) : CORE;
for (const folder of folders) {
  if (!existsSync(at(folder)))
    fail(`"${folder}" must be a folder or a file of the checkout, such as operators/filter\n\n${USAGE}`);
}
if (!options.report) {
  await ensureStryker();
  for (const folder of folders) await mutate(folder);
}

const rows = folders.flatMap((folder) => {
  const report = readReport(folder);
  return report === null ? [] : [{ folder, ...report }];
});
if (options.survivors) for (const { survivors } of rows) for (const survivor of survivors) console.log(survivor);
printTable(rows);
const total = { Killed: 0, Timeout: 0, Survived: 0, NoCoverage: 0 };
for (const { counts } of rows) for (const status of Object.keys(total)) total[status] += counts[status];
const score = scoreOf(total);
const { Killed: killed, Timeout: timeout, Survived: survived, NoCoverage: noCoverage } = total;
console.log(JSON.stringify({ folders: rows.length, killed, timeout, survived, noCoverage, score, floor: FLOOR }));
if (!(score >= FLOOR)) process.exitCode = 1;
