import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { CommitLog } from '../execution/commit-log.ts';
import type { QueryBounds, QueryDefinition } from '../execution/query-definition.ts';
import type { Schema } from '../record/schema.ts';
import type { ByteSlab } from '../record/column.ts';
import type { Source } from '../source/source.ts';
import { keyPartitioner } from '../serde/partitioner.ts';
import { Near, type Row } from './compare-rows.ts';
import { MemoryBroker } from './memory-broker.ts';
import type { MemoryMessage } from './memory-source.ts';

/** A topic of a test. */
export interface TopicUnderTest {
  readonly topic: string;
  readonly partitions: number;
}

/** How a row becomes a message: JSON, keyed and timed by fields of the row. */
export interface RowForm {
  readonly schema: Schema;
  readonly eventTimeField: string;
  readonly keyFields: readonly string[];
  /** How far behind the newest event time of a partition its watermark is. */
  readonly delayMs: number;
}

/** The topic that a query reads. */
export interface InputUnderTest extends TopicUnderTest, RowForm {
  /**
   * Of a query that reads several inputs: each with its name, in the order of their numbers. They share the topic, whose partition `p` is one of input `p % inputs.length`, and a row says
   * whose it is: `{ orders: { id: 'o1', at: 1_000 } }`.
   */
  readonly inputs?: readonly (RowForm & { readonly name: string })[];
}

/** What a test gives a query to run on, for one life of its process. */
export interface TestParts {
  readonly source: Source;
  readonly commitLog: CommitLog;
  readonly bounds: QueryBounds;
}

/**
 * A query as the test kit drives it: where its records come from and go to, and how it is built over parts that the test made. `inMemoryQuery` makes one of operators;
 * for a job file see `jobUnderTest` in `jobs/test-files`; for a {@link QueryDefinition} of your own, write one down.
 */
export interface QueryUnderTest {
  readonly name: string;
  readonly input: InputUnderTest;
  /** The topics that it writes results to; the first is the one that answers are read from where nothing else is said. */
  readonly outputs: readonly TopicUnderTest[];
  /** Where records go that came too late for a window; absent for a query that has no such topic. */
  readonly late?: TopicUnderTest;
  /** Where it says anew what it answered before; absent for a query that does not. */
  readonly amended?: TopicUnderTest;
  /** `null` where bad records stop it. */
  readonly deadLetters: TopicUnderTest | null;
  readonly bounds: QueryBounds;
  /** Called for each life of the process; the query is the caller's to run and dispose of. */
  open(parts: TestParts): QueryDefinition;
}

/** Every topic that a query writes. */
export function writtenTopics({ outputs, late, amended, deadLetters }: QueryUnderTest): readonly TopicUnderTest[] {
  return [...outputs, ...[late, amended, deadLetters].filter((topic) => topic !== undefined && topic !== null)];
}

/** A broker with the topics of a query, all empty. */
export function brokerFor(query: QueryUnderTest): MemoryBroker {
  const broker = new MemoryBroker();
  for (const { topic, partitions } of [query.input, ...writtenTopics(query)]) broker.createTopic(topic, partitions);
  return broker;
}

/**
 * Appends rows to a query's input topic: each to the partition that is given, or else to the one that a producer would choose by its key. Where the query reads several inputs,
 * partitions are those of the row's own.
 */
export function appendRows(
  broker: MemoryBroker,
  input: InputUnderTest,
  rows: readonly (Row | string)[],
  { timestampMs, partition }: { readonly timestampMs: number; readonly partition?: number | undefined },
): void {
  const inputCount = input.inputs?.length ?? 1;
  for (const row of rows) {
    const { form, number, fields } = placeOf(input, row);
    const message = messageOfRow(form, fields, timestampMs);
    const own = partition ?? partitionOf(input.partitions / inputCount, message.key);
    broker.append(input.topic, own * inputCount + number, message);
  }
}

/** Which input a row is of, and its fields. */
function placeOf(
  input: InputUnderTest,
  row: Row | string,
): { readonly form: RowForm; readonly number: number; readonly fields: Row | string } {
  if (input.inputs === undefined || typeof row === 'string') return { form: input, number: 0, fields: row };
  const [name = '', ...others] = Object.keys(row);
  const number = input.inputs.findIndex((each) => each.name === name);
  const form = input.inputs[number];
  const fields = row[name];
  if (form === undefined || others.length > 0 || typeof fields !== 'object' || fields === null) {
    throw new SluiceError(
      'TEST_ACTION',
      `a row must say which input it is of, as { ${input.inputs.map((each) => each.name).join(': {…} } or { ')}: {…} }; got ${JSON.stringify(row)}`,
    );
  }
  return { form, number, fields: fields as Row };
}

/** A row as a message of the input topic; a string stands for a message with just those bytes, whether or not they can be decoded. */
function messageOfRow(input: RowForm, row: Row | string, timestampMs: number): MemoryMessage {
  if (typeof row === 'string') return { key: '', value: row, timestampMs };
  const key = input.keyFields.map((name) => textOf(row[name])).join('/');
  return { key, value: JSON.stringify(row), timestampMs };
}

/** The partition that a message with this key goes to where the test does not say: the one that a producer would choose. */
function partitionOf(partitions: number, key: string): number {
  const data = new TextEncoder().encode(key);
  const keys: ByteSlab = { data, offsets: Int32Array.of(0, data.length) };
  return keyPartitioner(partitions)(keys, 0, 0);
}

/** An event time as a row may hold it, in milliseconds; `null` where it is none. */
export function instantOf(value: unknown): number | null {
  if (typeof value === 'number') return value;
  if (value instanceof Date) return value.getTime();
  const instantMs = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(instantMs) ? null : instantMs;
}

/** The newest event time of some rows; `-Infinity` where none has one. */
export function newestEventTimeOf(input: InputUnderTest, rows: readonly (Row | string)[]): number {
  return rows.reduce<number>((newestMs, row) => {
    const { form, fields } = placeOf(input, row);
    const instantMs = typeof fields === 'string' ? null : instantOf(fields[form.eventTimeField]);
    return Math.max(newestMs, instantMs ?? -Infinity);
  }, -Infinity);
}

/** A row that holds nothing but an event time: what moves the watermark of a partition to an instant where the test has no record to move it by. */
export function heartbeatRow(input: InputUnderTest, partition: number, toMs: number): Row {
  const { inputs } = input;
  const own = inputs?.[partition % inputs.length];
  const { schema, eventTimeField, delayMs } = own ?? input;
  const eventTimeMs = toMs + delayMs;
  const row = Object.fromEntries(
    schema.fields.map(({ name, type }) => {
      if (name === eventTimeField) return [name, eventTimeMs];
      if (type === 'string') return [name, '(heartbeat)'];
      return [name, type === 'boolean' ? false : 0];
    }),
  );
  return own === undefined ? row : { [own.name]: row };
}

function textOf(value: unknown): string {
  assert(!(value instanceof Near), 'a row that is given says what its numbers are');
  if (value === null || value === undefined) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
