import { describe, expect, it } from 'vitest';
import type { SinkDefinition } from '../../checked-job.ts';
import { checkIgnoredSinks } from './ignored-sinks.ts';

const topic: SinkDefinition = { kind: 'topic', topic: 'scores', format: 'json', partitions: null };

describe('sinks that a job on a cluster does not write', () => {
  it('are named, each with who writes it instead', () => {
    const others: SinkDefinition[] = [
      { kind: 'clickhouse', table: 'stats.predictions' },
      { kind: 'jsonl', path: '/data/out.jsonl' },
      { kind: 'console', everyMs: 1_000 },
    ];
    const found = checkIgnoredSinks({ sinks: [topic, ...others] });
    expect(found.map(({ thing, outcome }) => [thing, outcome])).toEqual([
      ['sink clickhouse stats.predictions', 'warned'],
      ['sink jsonl /data/out.jsonl', 'warned'],
      ['sink console', 'warned'],
    ]);
    expect(found[0]?.words).toContain('`sluice sink` does, with a sink job that copies topic scores to table');
    for (const { words } of found)
      expect(words).toMatch(/on a cluster.*topic scores.*sluice sink|sluice sink.*topic scores/s);
  });

  it('want a topic to be copied from', () => {
    const [found] = checkIgnoredSinks({ sinks: [{ kind: 'clickhouse', table: 'predictions' }] });
    expect(found?.words).toContain('a topic, which the job must write for that, to table predictions');
  });

  it('are none for a job that writes topics alone', () => {
    expect(checkIgnoredSinks({ sinks: [topic] })).toEqual([]);
  });
});
