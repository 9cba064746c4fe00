import type { RecordRules } from '../../engine/serde/record-rules.ts';

/** A topic of the embedded log, or of Kafka. */
export interface TopicOrigin {
  readonly kind: 'topic';
  readonly topic: string;
}

/** A file. */
export interface FileOrigin {
  readonly kind: 'parquet' | 'csv' | 'jsonl';
  readonly path: string;
}

/** How the messages of a topic are written: as JSON objects, or in Avro with Confluent's framing. */
export type MessageFormat = 'json' | 'avro';

/** What every source says. */
export interface SourceCommon {
  readonly format: MessageFormat;
  /** The field that keys the topic. */
  readonly key: string;
  /** The Avro schema's text when the job names one. */
  readonly avro: string | null;
  /** What records must be beyond their fields' types, when the job names a JSON Schema. */
  readonly rules: RecordRules | null;
  readonly eventTime: EventTimeDefinition;
  readonly duplicates: { readonly by: string; readonly withinMs: number } | null;
}

/** How event time is read, and what is expected of its order. */
export interface EventTimeDefinition {
  readonly field: string;
  readonly delayMs: number;
  readonly idleTimeoutMs: number;
  /** There where the watermark of an idle partition goes on by the clock. */
  readonly advanceOnIdle?: true;
  /** How far ahead of the least watermark a partition may be read; absent: as it comes. */
  readonly maxDriftMs?: number;
  readonly maxFutureSkewMs: number;
}
