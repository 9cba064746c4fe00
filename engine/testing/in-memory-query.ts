import { defaultBounds, type QueryBounds, type Scored, type SectionStart } from '../execution/query-definition.ts';
import type { Section } from '../execution/section.ts';
import { ArrivalDecoder } from '../exchange/arrivals.ts';
import { utf8ColumnOf } from '../record/column.ts';
import type { MessageBatch } from '../record/message-batch.ts';
import { DEGRADED, LATE, toRows, type RecordBatch } from '../record/record-batch.ts';
import type { Schema } from '../record/schema.ts';
import type { DeadLetter } from '../record/dead-letter.ts';
import { encodeDeadLetters } from '../serde/dead-letter-encoder.ts';
import type { Decoder } from '../serde/decoder.ts';
import { JsonDecoder } from '../serde/json-decoder.ts';
import type { Source } from '../source/source.ts';
import type { StateReader } from '../state/state-store.ts';
import type { IdleInput } from '../time/idle-partitions.ts';
import type { QueryUnderTest, RowForm } from './query-under-test.ts';

/** What a query of operators alone is made of, for tests: records in JSON, one input topic, one output topic with every column of what comes out. */
export interface InMemoryQuery {
  readonly name: string;
  readonly schema: Schema;
  readonly eventTime: EventTimeUnderTest;
  /** The fields that key the input topic. */
  readonly key: readonly string[];
  /** Of every topic; default 1. */
  readonly partitions?: number;
  readonly bounds?: Partial<QueryBounds>;
  /** For a query of several inputs: each, in the order of their numbers, and what reads and decodes them all from a source that has them in one numbering of partitions. */
  readonly several?: SeveralInputs;
  /** Whether the operators are given when the log took each record, as a further column; default: not. Of a query of one input. */
  readonly arrivals?: 'told' | 'not told';
  /** The output topics beside the first, and which rows of a batch go to each; the first, too, where it is named. Absent: all go to the one topic `output`. */
  readonly branches?: readonly Branch[];
  /** The operators, built anew for each life of the process: as `QueryDefinition.openSection`. */
  openSection(start: SectionStart, state: StateReader): Section;
}

/** How the records of a query are timed. */
export interface EventTimeUnderTest {
  readonly field: string;
  readonly delayMs: number;
  /** Default: five minutes. */
  readonly maxFutureSkewMs?: number;
  /** How long, by `advanceClock`, a partition may bring nothing before it is idle; default: half a minute. Of a query of several inputs none is ever. */
  readonly idleTimeoutMs?: number;
  /** Whether the watermark of an idle partition goes on by the clock; default: it stays. */
  readonly whenIdle?: IdleInput['watermark'];
}

/** The inputs of a query that reads several; see {@link InMemoryQuery}. */
export interface SeveralInputs {
  readonly forms: readonly (RowForm & { readonly name: string })[];
  /** Called for each life of the process. */
  read(source: Source): { readonly source: Source; readonly decoder: Decoder };
}

/** One of several topics of results. */
export interface Branch {
  readonly topic: string;
  /** The rows of a batch that go there, and those that cannot be judged. */
  choose(records: RecordBatch): { readonly records: RecordBatch; readonly deadLetters: readonly DeadLetter[] };
}

const defaultMaxFutureSkewMs = 300_000;
const defaultIdleTimeoutMs = 30_000;

/**
 * A query over operators, ready for the test kit: for whoever writes an operator, or a job in TypeScript. Results are written as JSON objects of all columns (but those
 * whose names begin with "("), with the flags `late` and `degraded`; bad records become dead letters.
 */
export function inMemoryQuery(query: InMemoryQuery): QueryUnderTest {
  const { name, schema, eventTime, key, bounds, several, branches = [everything] } = query;
  const own = query.partitions ?? 1;
  const partitions = own * (several?.forms.length ?? 1);
  const input = {
    topic: 'input',
    partitions,
    schema,
    eventTimeField: eventTime.field,
    keyFields: key,
    delayMs: eventTime.delayMs,
    ...(several === undefined ? {} : { inputs: several.forms }),
  };
  const deadLetters = { topic: 'dead-letters', partitions };
  const maxFutureSkewMs = eventTime.maxFutureSkewMs ?? defaultMaxFutureSkewMs;
  const { idleTimeoutMs: timeoutMs = defaultIdleTimeoutMs, whenIdle: watermark = 'stays' } = eventTime;
  return {
    name,
    input,
    outputs: branches.map(({ topic }) => ({ topic, partitions })),
    deadLetters,
    bounds: { ...defaultBounds, ...bounds },
    open: (parts) => ({
      name,
      jobDigest: name,
      modelDigest: '',
      ...parts,
      ...(several === undefined ? { decoder: decoderOf(query) } : several.read(parts.source)),
      watermark:
        several === undefined
          ? { delayMs: eventTime.delayMs, maxFutureSkewMs }
          : { inputs: several.forms.map(({ delayMs }) => ({ delayMs, maxFutureSkewMs })) },
      ...(several === undefined ? { idle: { inputs: [{ timeoutMs, watermark }], schema } } : {}),
      openSection: (start, state) => query.openSection(start, state),
      score: (records): Promise<Scored> => Promise.resolve({ records, deadLetters: [] }),
      encode: (records) => {
        const chosen = branches.map((branch) => ({ topic: branch.topic, ...branch.choose(records) }));
        return {
          messages: chosen.map((branch) => encodeRows(branch.topic, key, branch.records)),
          deadLetters: chosen.flatMap((branch) => branch.deadLetters),
        };
      },
      encodeDeadLetters: (letters) => encodeDeadLetters(deadLetters.topic, letters, partitions),
    }),
  };
}

function decoderOf({ schema, eventTime, key, arrivals }: InMemoryQuery): Decoder {
  const decoder = new JsonDecoder({ schema, eventTimeField: eventTime.field, keyFields: key });
  return arrivals === 'told' ? new ArrivalDecoder(decoder, schema) : decoder;
}

const everything: Branch = { topic: 'output', choose: (records) => ({ records, deadLetters: [] }) };

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
