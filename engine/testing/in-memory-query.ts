import { defaultBounds, type QueryBounds, type Scored, type SectionStart } from '../execution/query-definition.ts';
import type { Section } from '../execution/section.ts';
import { utf8ColumnOf } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { DEGRADED, LATE, toRows, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import { encodeDeadLetters } from '../serde/dead-letter-encoder.ts';
import { JsonDecoder } from '../serde/json-decoder.ts';
import type { StateReader } from '../state/state-store.ts';
import type { QueryUnderTest } from './query-under-test.ts';

/** What a query of operators alone is made of, for tests: records in JSON, one input topic, one output topic with every column of what comes out. */
export interface InMemoryQuery {
  readonly name: string;
  readonly schema: Schema;
  readonly eventTime: { readonly field: string; readonly delayMs: number; readonly maxFutureSkewMs?: number };
  /** The fields that key the input topic. */
  readonly key: readonly string[];
  /** Of every topic; default 1. */
  readonly partitions?: number;
  readonly bounds?: Partial<QueryBounds>;
  /** The operators, built anew for each life of the process: as `QueryDefinition.openSection`. */
  openSection(start: SectionStart, state: StateReader): Section;
}

const defaultMaxFutureSkewMs = 300_000;

/**
 * A query over operators, ready for the test kit: for whoever writes an operator, or a job in TypeScript. Results are written as JSON objects of all columns (but those
 * whose names begin with "("), with the flags `late` and `degraded`; bad records become dead letters.
 */
export function inMemoryQuery(query: InMemoryQuery): QueryUnderTest {
  const { name, schema, eventTime, key, partitions = 1, bounds } = query;
  const input = {
    topic: 'input',
    partitions,
    schema,
    eventTimeField: eventTime.field,
    keyFields: key,
    delayMs: eventTime.delayMs,
  };
  const output = { topic: 'output', partitions };
  const deadLetters = { topic: 'dead-letters', partitions };
  return {
    name,
    input,
    outputs: [output],
    deadLetters,
    bounds: { ...defaultBounds, ...bounds },
    open: (parts) => ({
      name,
      jobDigest: name,
      modelDigest: '',
      ...parts,
      decoder: new JsonDecoder({ schema, eventTimeField: eventTime.field, keyFields: key }),
      watermark: { delayMs: eventTime.delayMs, maxFutureSkewMs: eventTime.maxFutureSkewMs ?? defaultMaxFutureSkewMs },
      openSection: (start, state) => query.openSection(start, state),
      score: (records): Promise<Scored> => Promise.resolve({ records, deadLetters: [] }),
      encode: (records) => ({ messages: [encodeRows(output.topic, key, records)], deadLetters: [] }),
      encodeDeadLetters: (letters) => encodeDeadLetters(deadLetters.topic, letters, partitions),
    }),
  };
}

function encodeRows(topic: string, key: readonly string[], records: RecordBatch): MessageBatch {
  const rows = toRows(records);
  const values = rows.map((row, index) => {
    const flags = records.flags[index] ?? 0;
    const shown = Object.entries(row).filter(([name]) => !name.startsWith('('));
    return JSON.stringify({
      late: (flags & LATE) !== 0,
      degraded: (flags & DEGRADED) !== 0,
      ...Object.fromEntries(shown),
    });
  });
  return {
    topic,
    messageCount: rows.length,
    partitions: records.partitions,
    offsets: new Float64Array(rows.length),
    timestampsMs: new Float64Array(rows.length).fill(-1),
    keys: utf8ColumnOf(rows.map((row) => key.map((name) => String(row[name] ?? '')).join('/'))),
    values: utf8ColumnOf(values),
  };
}
