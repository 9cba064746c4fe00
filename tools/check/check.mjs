import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../setup/paths.mjs';
import { run } from '../setup/run.mjs';
import { gates } from './gates.mjs';

/**
 * `npm run check`: every gate that CI holds the tree to, two at a time, then the tests alone; a line for each as it ends, what
 * a failed one said, and a table. Ends with code 1 if any failed.
 *
 *   npm run check -- --fast                all but the tests
 *   npm run check -- --only lint,types     these alone
 *   npm run check -- --results FILE        also writes [{ name, ok, seconds }] as JSON
 *   npm run check -- --in FOLDER           looks at another tree, with the configuration that is there (the gates' own test does)
 */
const AT_ONCE = 2;
const SHOWN_LINES = 80;

const { values: options } = parseArgs({
  options: {
    fast: { type: 'boolean' },
    only: { type: 'string' },
    results: { type: 'string' },
    in: { type: 'string', default: root },
  },
});
const only = options.only?.split(',').map((name) => name.trim());
const unknown = only?.filter((name) => !gates.some((gate) => gate.name === name)) ?? [];
if (unknown.length > 0) {
  console.error(`no such gate: ${unknown.join(', ')}; there are ${gates.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const chosen = gates.filter(({ name, alone }) => (only === undefined ? !(options.fast && alone) : only.includes(name)));
const width = Math.max(...chosen.map(({ name }) => name.length));

const line = ({ name, ok, seconds }, checks) =>
  `${ok ? 'ok    ' : 'FAILED'}  ${name.padEnd(width)}  ${seconds.toFixed(1).padStart(6)} s  ${checks}`;

/** A gate that runs alone shows its output as it comes; the others' is kept, and shown where they fail. */
async function runGate({ name, checks, args, alone }) {
  const startMs = performance.now();
  const { code, output } = alone ? await runShown(args) : await run(process.execPath, args, { cwd: options.in });
  const result = { name, ok: code === 0, seconds: (performance.now() - startMs) / 1000 };
  console.log(line(result, checks));
  if (!result.ok && output !== '') {
    const lines = output.trim().split('\n');
    console.log(
      lines
        .slice(0, SHOWN_LINES)
        .map((text) => `    ${text}`)
        .join('\n'),
    );
    if (lines.length > SHOWN_LINES) console.log(`    … ${lines.length - SHOWN_LINES} more lines`);
  }
  return result;
}

function runShown(args) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: options.in, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('close', (code) => resolve({ code: code ?? 1, output: '' }));
  });
}

const results = [];
const queue = chosen.filter(({ alone }) => !alone);
const worker = async () => {
  for (let gate = queue.shift(); gate !== undefined; gate = queue.shift()) results.push(await runGate(gate));
};
await Promise.all(Array.from({ length: AT_ONCE }, worker));
for (const gate of chosen.filter(({ alone }) => alone)) results.push(await runGate(gate));

const failed = results.filter(({ ok }) => !ok);
console.log('');
for (const gate of chosen) {
  const result = results.find(({ name }) => name === gate.name);
  console.log(line(result, ''));
}
console.log(
  failed.length === 0
    ? `All ${results.length} gates passed.`
    : `${failed.length} of ${results.length} gates failed: ${failed.map(({ name }) => name).join(', ')}.`,
);
if (options.results !== undefined) {
  mkdirSync(dirname(options.results), { recursive: true });
  writeFileSync(options.results, JSON.stringify(results));
}
process.exitCode = failed.length === 0 ? 0 : 1;
