import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadJob } from '../load-job.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-check-copy-'));
  const updated = { type: 'long', logicalType: 'timestamp-millis' };
  const named = [
    { name: 'merchant', type: 'string' },
    { name: 'updated', type: updated },
  ];
  writeFileSync(join(folder, 'limit.avsc'), JSON.stringify({ type: 'record', name: 'Limit', fields: named }));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const fields = 'fields: { merchant: string, amount: double, updated: timestamp }';
const copy = 'copyOf: { clickhouse: SELECT 1, every: 5m }';

async function load(inSource: string, inTable: string): Promise<Awaited<ReturnType<typeof loadJob>>> {
  const file = join(folder, 'job.yaml');
  writeFileSync(
    file,
    `job: limits
source:
  topic: payments
  fields: { id: string, at: timestamp, merchant: string }
  key: merchant
  eventTime: { field: at, delay: 1m }
  ${inSource}
tables:
  limits:
    key: merchant
    eventTime: { field: updated, delay: 0s }
    ${inTable}
enrich: [{ table: limits, on: merchant }]
features: none
sinks: [{ topic: answers }]
`,
  );
  return loadJob(file);
}

describe("what a table's topic is a copy of", () => {
  it('is a query, and how often it is asked: once a minute unless the job says otherwise', async () => {
    const loaded = await load('', `${fields}\n    topic: limits\n    copyOf: { clickhouse: SELECT 1 }`);
    const often = await load('', `${fields}\n    topic: limits\n    ${copy}`);
    const copies = [loaded, often].map((each) => {
      return each.ok && each.job.source.kind === 'inputs'
        ? each.job.source.plan.inputs.map(({ copyOf }) => copyOf)
        : [each];
    });
    expect(copies).toEqual([
      [{ query: 'SELECT 1', everyMs: 60_000 }, null],
      [{ query: 'SELECT 1', everyMs: 300_000 }, null],
    ]);
    // What is looked up is what is in the topic, whoever wrote it.
    expect(loaded.ok && often.ok && loaded.job.digest === often.job.digest).toBe(true);
  });

  it.each([
    [
      'a stream',
      copy,
      `${fields}\n    topic: limits`,
      '7:3: "copyOf" is for tables: records of a stream are read where they are',
    ],
    ['a file', '', `${fields}\n    jsonl: limits.jsonl\n    ${copy}`, '14:5: a copy is kept in a topic'],
    [
      'Avro',
      '',
      `topic: limits\n    format: avro\n    schema: limit.avsc\n    ${copy}`,
      '15:5: a copy is written as JSON',
    ],
  ])('is refused of %s', async (_what, inSource, inTable, told) => {
    const loaded = await load(inSource, inTable);
    expect(
      loaded.ok ? [] : loaded.diagnostics.map(({ line, column, message }) => `${line}:${column}: ${message}`),
    ).toEqual(expect.arrayContaining([told]));
  });
});
