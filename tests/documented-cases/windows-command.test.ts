import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBalanced } from '../../engine/observability/ledger.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { messageBatchOf } from '../../engine/storage/message-batch-builder.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock } from '../../engine/time/clock.ts';
import type { CheckedJob } from '../../jobs/checked-job.ts';
import { loadJob } from '../../jobs/load-job.ts';
import { openLocalRun } from '../../jobs/runtime/run-local.ts';
import { sluice } from '../embedded/sluice-process.ts';

/** The example of Spark's guide, "Handling Late Data and Watermarking", in append mode. */
const words: readonly (readonly [time: string, word: string])[] = [
  ['12:07', 'dog'],
  ['12:08', 'owl'],
  ['12:14', 'dog'],
  ['12:09', 'cat'],
  ['12:15', 'cat'],
  ['12:08', 'dog'],
  ['12:13', 'owl'],
  ['12:21', 'owl'],
  ['12:04', 'donkey'],
  ['12:17', 'owl'],
];

const jobText = (source: string, more: string): string => `
job: words
source:
  ${source}
  fields: { at: timestamp, word: string, length: double? }
  key: word
  eventTime: { field: at, delay: 10m }
features: none
windows:
  key: word
  hopping: { size: 10m, every: 5m }
  aggregates:
    count: { count: true }
    letters: { sum: length * 2 }
    all: { collect: word }
${more}
`;

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'sluice-windows-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});

describe('a job with windows, by the command', () => {
  it('publishes the final counts of 12:00-12:10 once, and routes the donkey', async () => {
    const lines = words.map(([time, word]) => JSON.stringify({ at: `2024-01-01T${time}:00Z`, word }));
    await writeFile(join(folder, 'words.jsonl'), lines.join('\n'));
    const more = 'trigger: availableNow\nmaxOffsetsPerTrigger: 3\nsinks: [{ topic: counts }, { jsonl: counts.jsonl }]';
    const file = join(folder, 'words.yaml');
    await writeFile(file, jobText('jsonl: words.jsonl', more));
    const dir = join(folder, 'data');
    const ran = await sluice('run', file, '--dir', dir);
    expect(ran.stderr).toBe('');
    expect(JSON.parse(ran.stdout)).toMatchObject({ read: 10, scored: 9, late: 1, deadLettered: 0 });
    const counts = (await readFile(join(folder, 'counts.jsonl'), 'utf8')).trim().split('\n');
    const window = { window_start: '2024-01-01T12:00:00.000Z', window_end: '2024-01-01T12:10:00.000Z', letters: null };
    expect(counts.map((line): unknown => JSON.parse(line))).toEqual([
      { word: 'cat', ...window, count: 1, all: ['cat'] },
      { word: 'dog', ...window, count: 2, all: ['dog', 'dog'] },
      { word: 'owl', ...window, count: 1, all: ['owl'] },
    ]);
    const late = await sluice('topic', 'tail', 'words-late', '--no-follow', '--dir', dir);
    expect(JSON.parse(late.stdout)).toMatchObject({ word: 'donkey', source_offset: 8, late: true });
    const explained = await sluice('explain', file);
    expect(explained.stdout).toContain('window  windows  hopping, 10m every 5m, for each word');
    expect(explained.stdout).toContain('at most 3 at once, split by lag');
  });
});

describe('a job with windows on the embedded profile', () => {
  let job: CheckedJob;
  let runs = 0;
  const inputs = Array.from({ length: 400 }, (_, i) => {
    const at = Date.UTC(2024, 0, 1) + i * 20_000 - ((i * 7_919) % 23) * 120_000;
    return {
      value: JSON.stringify({ at, word: `w${(i * i) % 7}`, length: i % 5 === 0 ? null : i / 4 }),
      timestampMs: at,
    };
  });

  beforeAll(async () => {
    const more = `  having: count > 1
late: { policy: update, allowedLateness: 2m }
sinks: [{ topic: counts, partitions: 1 }]
state: { flushEvery: 0s }`;
    await writeFile(join(folder, 'embedded.yaml'), jobText('topic: words', more));
    const outcome = await loadJob(join(folder, 'embedded.yaml'));
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.diagnostics));
    ({ job } = outcome);
  });

  async function run(
    maxBatchRecords: number,
    restarts: readonly number[],
  ): Promise<{ counts: string[]; late: string[] }> {
    const directory = join(folder, `run-${runs++}`);
    await using storage = await Storage.open({ directory, access: 'write', clock: systemClock });
    storage.ensureTopic('words', { partitionCount: 1 });
    let from = 0;
    let read = 0;
    let lateCount = 0;
    for (const to of [...restarts.toSorted((a, b) => a - b), inputs.length]) {
      if (to > from) await storage.append(messageBatchOf('words', inputs.slice(from, to)));
      from = Math.max(from, to);
      const logger = { info: fail, warn: fail, error: fail };
      await using open = await openLocalRun(job, {
        storage,
        directory,
        modelsDirectory: '',
        logger,
        bounds: { maxBatchRecords },
      });
      await open.run('availableNow', new AbortController().signal);
      const { ledger } = open.query.totals;
      expect(isBalanced(ledger)).toBe(true);
      read += ledger.read;
      lateCount += ledger.late;
    }
    expect(read).toBe(inputs.length);
    const [counts, late] = [await readAll(storage, 'counts'), await readAll(storage, 'words-late')];
    expect(late).toHaveLength(lateCount);
    return { counts, late };
  }

  it('publishes the same bytes whatever the batches and the restarts', async () => {
    const whole = await run(1_000, []);
    expect(whole.counts.length).toBeGreaterThan(100);
    expect(whole.late.length).toBeGreaterThan(10);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 90 }),
        fc.array(fc.nat(inputs.length), { maxLength: 3 }),
        async (size, restarts) => {
          expect(await run(size, restarts)).toEqual(whole);
        },
      ),
      { numRuns: 6 },
    );
  });
});

function fail(message: string): never {
  throw new Error(`nothing should be logged; got "${message}"`);
}

async function readAll(storage: Storage, topic: string): Promise<string[]> {
  const source = new EmbeddedTopicSource(storage, topic);
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const texts: string[] = [];
  const total = ranges.reduce((sum, { startOffset, endOffset }) => sum + endOffset - startOffset, 0);
  while (texts.length < total) {
    const polled = await source.poll({ maxRecords: 1_000, maxWaitMs: 100 });
    if (polled?.kind !== 'messages') continue;
    for (let i = 0; i < polled.messages.messageCount; i++) {
      texts.push(Buffer.from(messageValue(polled.messages, i)).toString());
    }
  }
  return texts;
}
