import { formatDuration } from '../../engine/time/duration.ts';
import type { RecordRules, ValueRule } from '../../engine/serde/record-rules.ts';
import type { StoredColumn } from '../../operators/rolling/rolling-layout.ts';
import type { SinkDefinition } from '../checked-job.ts';

/** A sink in a few words. */
export function sinkLabel(sink: SinkDefinition): string {
  switch (sink.kind) {
    case 'topic':
      return (
        `topic ${sink.topic}, ${sink.format}${sink.partitions === null ? '' : `, ${sink.partitions} partitions`}` +
        (sink.where === undefined ? '' : `, results where ${sink.where}`)
      );
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

/** What a JSON Schema demands of records beyond their fields' types, a few words a rule. */
export function ruleLabels({ fields, closed }: RecordRules): readonly string[] {
  const values = fields.flatMap(({ field, values: rules }) => rules.map((rule) => `${field} ${ruleLabel(rule)}`));
  return Object.keys(closed).length === 0 ? values : [...values, 'no other fields'];
}

function ruleLabel(rule: ValueRule): string {
  switch (rule.rule) {
    case 'pattern':
      return `pattern ${rule.pattern}`;
    case 'enum':
      return `enum ${rule.values.join(' | ')}`;
    case 'uuid':
      return 'uuid';
    case 'minimum':
    case 'maximum':
    case 'exclusiveMinimum':
    case 'exclusiveMaximum':
    case 'minLength':
    case 'maxLength':
      return `${rule.rule} ${rule.than}`;
  }
}
