import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { sluice } from './sluice-process.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The fraud job, with a file to follow its topic. */
const job = (file: string): string => `
job: opened
source:
  topic: transactions
  schema: ${root}/schemas/transaction.avsc
  key: card_id
  eventTime: { field: event_time, delay: 10s }
  duplicates: { by: transaction_id, within: 1h }
features: [${root}/features/card.yaml, ${root}/features/terminal.yaml, ${root}/features/time.yaml]
score: { model: fraud@champion }
sinks:
  - topic: predictions
  - clickhouse: predictions
  - jsonl: ${file}
`;

describe('a job that cannot be opened', () => {
  let directory: string;

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sluice-open-'));
  });

  afterAll(async () => {
    await rm(directory, { recursive: true, force: true });
  });

  it('ends by itself with the reason, though its model and its ClickHouse were already running', async () => {
    const notADirectory = join(directory, 'file');
    await writeFile(notADirectory, '');
    const jobFile = join(directory, 'job.yaml');
    await writeFile(jobFile, job(join(notADirectory, 'out.jsonl')));
    const { code, stderr } = await sluice('run', jobFile, '--dir', join(directory, 'data'));
    expect(code).toBe(1);
    expect(stderr).toContain('out.jsonl');
  });
});
