import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { Diagnostic } from '../../engine/plan/diagnostic.ts';
import type { CheckedJob } from '../checked-job.ts';
import { loadJob, type JobOutcome } from '../load-job.ts';

/** A sound job with everything that a job can have, for tests to change a line of. */
const soundFiles: Readonly<Record<string, string>> = {
  'jobs/job.yaml': `job: scoring
app: shop
description: Scores payments.
source:
  topic: payments
  schema: payment
  key: card
  eventTime: { field: at, delay: 10s }
  duplicates: { by: id, within: 1h }
features: [card, terminal]
score: { model: fraud@champion, threshold: 0.5 }
sinks:
  - { topic: scores, partitions: 3 }
  - clickhouse: scores
  - jsonl: out/scores.jsonl
  - console: 2s
late: { allowedLateness: 1m, policy: answer }
deadLetters: { topic: bad }
state: { flushEvery: 5s }
guarantee: exactly-once
`,
  'schemas/payment.avsc': JSON.stringify({
    type: 'record',
    name: 'Payment',
    fields: [
      { name: 'id', type: 'string' },
      { name: 'at', type: { type: 'long', logicalType: 'timestamp-millis' } },
      { name: 'card', type: 'string' },
      { name: 'terminal', type: 'string' },
      { name: 'amount', type: 'double' },
      { name: 'fraud', type: ['null', 'boolean'] },
    ],
  }),
  'features/card.yaml': `entity: card
features:
  avg_7d: { avg: amount, over: 7d }
  avg_30d: { avg: amount, over: 30d }
  count_1h: { count: true, over: 1h, current: include }
  ratio: { expr: amount / avg_7d, default: 1 }
  places_30d: { distinct: terminal, over: 30d }
`,
  'features/terminal.yaml': `entity: terminal
features:
  rate_7d: { avg: fraud, over: 7d, delay: 7d, default: 0 }
  risk: { expr: rate_7d * ratio }
`,
};

/** A change to one of the files: some text of it for another. `''` for the whole file. */
export type Change = readonly [file: string, from: string, to: string];

/** Writes the files to a folder of their own, loads `jobs/job.yaml`, and gives the outcome with paths relative to that folder. */
export async function loadFiles(files: Readonly<Record<string, string>>): Promise<JobOutcome> {
  const folder = await mkdtemp(join(tmpdir(), 'sluice-job-'));
  try {
    for (const [name, text] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true });
      await writeFile(join(folder, name), text);
    }
    const outcome = await loadJob(join(folder, 'jobs/job.yaml'));
    if (outcome.ok) return outcome;
    const relative = (text: string): string => text.replaceAll(`${folder}/`, '');
    const diagnostics = outcome.diagnostics.map((found): Diagnostic => {
      const nearest = found.nearest === null ? null : relative(found.nearest);
      const expected = found.expected === null ? null : relative(found.expected);
      return { ...found, file: relative(found.file), message: relative(found.message), expected, nearest };
    });
    const sources = new Map([...outcome.sources].map(([file, text]) => [relative(file), text]));
    return { ok: false, diagnostics, sources };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The sound files with some changes. */
export function changed(...changes: readonly Change[]): Record<string, string> {
  const files = { ...soundFiles };
  for (const [file, from, to] of changes) {
    const text = files[file] ?? '';
    if (!text.includes(from)) throw new RangeError(`${file} has no "${from}" to change`);
    files[file] = from === '' ? to : text.replace(from, () => to);
  }
  return files;
}

/** The job that the sound files with some changes make. */
export async function jobOf(...changes: readonly Change[]): Promise<CheckedJob> {
  const outcome = await loadFiles(changed(...changes));
  if (!outcome.ok) throw new RangeError(`the job must be sound; got ${JSON.stringify(outcome.diagnostics)}`);
  return outcome.job;
}

/** All that is wrong with the sound files after some changes. */
export async function problemsOf(...changes: readonly Change[]): Promise<readonly Diagnostic[]> {
  const outcome = await loadFiles(changed(...changes));
  return outcome.ok ? [] : outcome.diagnostics;
}
