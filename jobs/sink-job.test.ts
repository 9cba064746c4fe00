import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readFileSync } from 'node:fs';
import { loadSinkJob, type SinkJobOutcome } from './sink-job.ts';

async function load(text: string): Promise<SinkJobOutcome> {
  const dir = mkdtempSync(join(tmpdir(), 'sluice-sink-job-'));
  try {
    const file = join(dir, 'sink.yaml');
    writeFileSync(file, text);
    return await loadSinkJob(file);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

async function problemsOf(text: string): Promise<string[]> {
  const outcome = await load(text);
  return outcome.ok ? [] : outcome.diagnostics.map(({ code, line, message }) => `${line} ${code} ${message}`);
}

const shipped = fileURLToPath(new URL('clickhouse-sink.yaml', import.meta.url));

describe('a sink job', () => {
  it('is what its file says', async () => {
    const text = 'job: copies\napp: shop\ncopy:\n  - { topic: scores, clickhouse: stats.scores }\n';
    expect(await load(text)).toEqual({
      ok: true,
      job: { name: 'copies', app: 'shop', copies: [{ topic: 'scores', table: 'stats.scores' }] },
    });
  });

  it('that is shipped copies the topics that the fraud-scoring job writes', async () => {
    const outcome = await loadSinkJob(shipped);
    if (!outcome.ok) throw new RangeError(JSON.stringify(outcome.diagnostics));
    const scoring = parse(readFileSync(fileURLToPath(new URL('fraud-scoring.yaml', import.meta.url)), 'utf8')) as {
      readonly sinks: readonly { readonly topic?: string }[];
      readonly deadLetters: { readonly topic: string };
    };
    const written = [...scoring.sinks.flatMap(({ topic }) => topic ?? []), scoring.deadLetters.topic];
    expect(outcome.job.copies.map(({ topic }) => topic)).toEqual(written);
    expect(outcome.job.app).toBe('sluice');
  });

  it('is refused with everything that is wrong with it, each at its place', async () => {
    expect(await problemsOf('copy: []\n')).toEqual([
      expect.stringContaining('1 KEY_MISSING'),
      expect.stringContaining('1 VALUE_WRONG'),
    ]);
    expect(
      await problemsOf(
        'job: a\ncopy:\n  - { topic: "no good", clickhouse: t }\n  - { topic: x, clickhouse: "t; DROP" }\ncopies: 1\n',
      ),
    ).toEqual([expect.stringContaining('4 VALUE_WRONG'), expect.stringContaining('5 KEY_UNKNOWN "copies"')]);
    const twice =
      'job: a\ncopy:\n  - { topic: "no good", clickhouse: t }\n  - { topic: x, clickhouse: t }\n  - { topic: x, clickhouse: u }\n';
    expect(await problemsOf(twice)).toEqual([
      expect.stringContaining('3 VALUE_WRONG "no good" cannot be the name of a topic'),
      expect.stringContaining('5 NAME_DUPLICATE the topic "x" is already copied'),
    ]);
  });
});
