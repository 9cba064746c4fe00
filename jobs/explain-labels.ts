import { formatDuration } from '../engine/time/duration.ts';
import type { StoredColumn } from '../operators/rolling/rolling-layout.ts';
import type { SinkDefinition } from './checked-job.ts';

/** A sink in a few words. */
export function sinkLabel(sink: SinkDefinition): string {
  switch (sink.kind) {
    case 'topic':
      return `topic ${sink.topic}, ${sink.format}${sink.partitions === null ? '' : `, ${sink.partitions} partitions`}`;
    case 'clickhouse':
      return `clickhouse ${sink.table}, follows the topic`;
    case 'jsonl':
      return `file ${sink.path}, follows the topic`;
    case 'console':
      return `console, every ${formatDuration(sink.everyMs)}`;
  }
}

/** A stored column in a few words. */
export function storedLabel({ input, where, form }: StoredColumn): string {
  const value = input ?? '1';
  return `${value}${form === 'code' ? ' as code' : ''}${where === null ? '' : ` where ${where}`}`;
}
