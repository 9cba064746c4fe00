import type { CheckedJob, SinkDefinition } from '../../checked-job.ts';
import { warned, type CheckResult } from './checklist.ts';

/**
 * Says of each sink beside topics that a job on a cluster leaves it to others: an outage of ClickHouse must not hold predictions up, and of several workers none would be the one
 * that writes a file (ADR 0032). Called before a job starts, and by `sluice doctor`; nothing is refused, since the same job file is one that the local profile runs in full.
 */
export function checkIgnoredSinks({ sinks }: Pick<CheckedJob, 'sinks'>): readonly CheckResult[] {
  const topics = sinks.flatMap((sink) => (sink.kind === 'topic' ? [sink.topic] : []));
  return sinks.flatMap((sink) => {
    const words = wordsFor(sink, topics);
    return words === null ? [] : [{ thing: nameOf(sink), code: null, ...warned(words) }];
  });
}

function wordsFor(sink: SinkDefinition, topics: readonly string[]): string | null {
  const from = topics.length === 0 ? 'a topic, which the job must write for that,' : `topic ${topics.join(' or ')}`;
  switch (sink.kind) {
    case 'topic':
      return null;
    case 'clickhouse':
      return `the job does not write it on a cluster: \`sluice sink\` does, with a sink job that copies ${from} to table ${sink.table}`;
    case 'jsonl':
    case 'console':
      return `nobody writes it on a cluster: read ${from} instead, or run the job with --profile local. (\`sluice sink\` copies topics to ClickHouse alone)`;
  }
}

function nameOf(sink: SinkDefinition): string {
  switch (sink.kind) {
    case 'topic':
      return `sink topic ${sink.topic}`;
    case 'clickhouse':
      return `sink clickhouse ${sink.table}`;
    case 'jsonl':
      return `sink jsonl ${sink.path}`;
    case 'console':
      return 'sink console';
  }
}
