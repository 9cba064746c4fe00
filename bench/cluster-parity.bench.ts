import { loadavg } from 'node:os';
import { loadJob } from '../jobs/load-job.ts';
import { generateHandbookTransactions } from '../simulation/handbook/transactions.ts';
import { ExpectedAnswers } from '../tests/cluster/expected-answers.ts';
import { firstDays } from '../tests/cluster/handbook-days.ts';
import { runHandbookParity } from '../tests/cluster/handbook-parity.ts';

/**
 * The Handbook's features on Kafka and Redis, in two stages, over workers of which one is killed every few seconds: prints how many values differ from those that the
 * book's authors have published (where their file is not there, from those of one undisturbed process), how many answers are missing or
 * repeated, and how many kills there were. docs/benchmarks/cluster.md has what was seen.
 *
 *     npm run bench -- cluster-parity
 *     DAYS=10 KILL_EVERY_S=5 PARTITIONS=4 WORKERS=2 SEED=1 npm run bench -- cluster-parity
 */
const setting = (name: string, usual: number): number => Number(process.env[name] ?? usual);
const publishedDays = 60;
const days = setting('DAYS', publishedDays);

const outcome = await loadJob(new URL('../jobs/handbook.yaml', import.meta.url).pathname);
if (!outcome.ok) throw new Error('the shipped job must be sound');
const transactions = firstDays(generateHandbookTransactions(), days, () => true);
const published = days <= publishedDays ? await ExpectedAnswers.published(outcome.job, transactions.rowCount) : null;
const expected = published ?? (await ExpectedAnswers.ofReplay(outcome.job, transactions));
const say = (line: string): void => void process.stderr.write(`${line}\n`);
say(`${days} days, ${transactions.rowCount} records`);

const { differences, ...figures } = await runHandbookParity({
  transactions,
  expected,
  partitions: setting('PARTITIONS', 4),
  workers: setting('WORKERS', 2),
  killEveryMs: setting('KILL_EVERY_S', 8) * 1_000,
  seed: setting('SEED', 1),
  say,
});
for (const { key, column, expected: wanted, got } of differences)
  say(`${key}: ${column} must be ${wanted}; got ${got}`);
say(
  `load of the machine ${loadavg()[0]?.toFixed(1) ?? ''}; expected values ${published === null ? 'of a replay' : 'as published'}`,
);
process.stdout.write(`${JSON.stringify(figures)}\n`);
