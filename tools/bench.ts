import { readdirSync } from 'node:fs';

/** `npm run bench -- NAME …`: runs the benchmarks of those names, or says which there are. They print figures and judge nothing. */
const folder = new URL('../bench/', import.meta.url);
const names = readdirSync(folder).flatMap((file) =>
  file.endsWith('.bench.ts') ? [file.slice(0, -'.bench.ts'.length)] : [],
);
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !names.includes(name));
if (wanted.length === 0 || unknown.length > 0) {
  process.stderr.write(
    `${unknown.length > 0 ? `no benchmark ${unknown.join(', ')}; ` : ''}there are: ${names.join(', ')}\n`,
  );
  process.exitCode = 1;
} else {
  for (const name of wanted) await import(new URL(`${name}.bench.ts`, folder).href);
}
