import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { at } from '../setup/paths.mjs';

const nameOf = (folder) => folder.replaceAll('/', '-');

/** Where Stryker leaves what became of a folder's mutants, from the top of the checkout. */
export const reportOf = (folder) => `.sluice/mutation/${nameOf(folder)}.json`;

/** Where Stryker keeps what a later run need not test again, from the top of the checkout. */
export const resultsOf = (folder) => `${reportOf(folder)}.incremental`;

/** Where Stryker copies the tree to for a folder's mutants, from the top of the checkout. */
export const sandboxOf = (folder) => `.sluice/mutation/${nameOf(folder)}.sandbox`;

/**
 * What became of a folder's mutants: how many there are of each status, by Stryker's names, and those that no test noticed.
 *
 * @param {string} folder from the top of the checkout
 * @returns {{ counts: Record<string, number>, survivors: string[] } | null} null where the folder has no report
 */
export function readReport(folder) {
  const file = at(reportOf(folder));
  if (!existsSync(file)) return null;
  const counts = { Killed: 0, Timeout: 0, Survived: 0, NoCoverage: 0 };
  const survivors = [];
  for (const [path, { source, mutants }] of Object.entries(JSON.parse(readFileSync(file, 'utf8')).files)) {
    const lines = source.split('\n');
    for (const { status, location, mutatorName, replacement } of mutants) {
      counts[status] = (counts[status] ?? 0) + 1;
      if (status !== 'Survived' && status !== 'NoCoverage') continue;
      const { start, end } = location;
      const line = lines[start.line - 1] ?? '';
      const original = start.line === end.line ? line.slice(start.column - 1, end.column - 1) : `${line.trim()} …`;
      const reached = status === 'NoCoverage' ? ', reached by no test' : '';
      survivors.push(`${path}:${start.line}:${start.column} ${mutatorName}${reached}: ${original} → ${replacement}`);
    }
  }
  return { counts, survivors };
}

/** Lets the next run of a folder test those mutants again that survived the last one. */
export function forgetSurvivors(folder) {
  const file = at(resultsOf(folder));
  if (!existsSync(file)) return;
  const results = JSON.parse(readFileSync(file, 'utf8'));
  for (const tested of Object.values(results.files)) {
    tested.mutants = tested.mutants.filter(({ status }) => status !== 'Survived');
  }
  writeFileSync(file, JSON.stringify(results));
}

/** Stryker's mutation score in per cent: of the mutants that could be tested, those that a test noticed, or that never ended. */
export function scoreOf({ Killed, Timeout, Survived, NoCoverage }) {
  const noticed = Killed + Timeout;
  return Math.round((10_000 * noticed) / (noticed + Survived + NoCoverage)) / 100;
}
