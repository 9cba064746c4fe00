import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import {
  defaultBounds,
  type Outputs,
  type QueryBounds,
  type QueryDefinition,
  type Scored,
} from '../../engine/execution/query-definition.ts';
import { StreamingQuery, type QueryTotals, type Trigger } from '../../engine/execution/streaming-query.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import { ArrivalDecoder } from '../../engine/exchange/arrivals.ts';
import { messageValue } from '../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import { encodeDeadLetters } from '../../engine/serde/dead-letter-encoder.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import { JsonDecoder } from '../../engine/serde/json-decoder.ts';
import { JsonEncoder } from '../../engine/serde/json-encoder.ts';
import { keyPartitioner } from '../../engine/serde/partitioner.ts';
import { EmbeddedTopicSource } from '../../engine/source/embedded/embedded-topic-source.ts';
import { inputOfPartition, partitionInInput } from '../../engine/source/merged/input-partition.ts';
import { MergedSource } from '../../engine/source/merged/merged-source.ts';
import type { Source } from '../../engine/source/source.ts';
import { EmbeddedCommitLog } from '../../engine/storage/embedded-commit-log.ts';
import { Storage } from '../../engine/storage/storage.ts';
import { systemClock, type Clock } from '../../engine/time/clock.ts';
import { unwritten } from './unwritten.ts';
import { arrivedRows } from './arrived-rows.ts';
import { openBranches, type Branches, type OpenBranch } from './branches.ts';
import { readSeveral } from './read-several.ts';
import type { Stream } from './stream.ts';
import type { StreamInput } from './stream-origin.ts';
import type { Shape } from './stream-operator.ts';

const newTopicPartitions = 4;
const defaultMaxFutureSkewMs = 300_000;
const idleTimeoutMs = 30_000;
/** How long a reader of a topic waits for what is there. */
const readWaitMs = 20;

/** How a stream is run as a job. */
export interface JobOptions<R = never> {
  /** The job's name: of its positions and its state. */
  readonly job: string;
  /** The topic that results are committed to, together with positions and state, as JSON; or several, each with the condition by which results go there (`branches.ts`). */
  readonly to: Branches<R>;
  /** Of what the stream's functions do; default `1`. To be raised where results would be others: the job is then another, and begins anew under another name, or is refused. */
  readonly version?: string;
  /** Default: the topic `JOB-dead-letters`. */
  readonly deadLetters?: string;
  /** `availableNow` (the default) ends when all that was there is committed; `realtime` goes on until the signal. */
  readonly trigger?: Trigger;
  /** Ends the run in good order: what was read is committed. */
  readonly signal?: AbortSignal;
  readonly bounds?: Partial<QueryBounds>;
}

/**
 * The embedded log of a directory: topics, and the positions and state of jobs, in one place that survives any crash. What `sluice run --profile local` runs on, too, so topics, jobs and state
 * may be looked at with the command.
 */
export class LocalLog implements AsyncDisposable {
  readonly #storage: Storage;

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** @throws {SluiceError} as `Storage.open`: `STORAGE_CORRUPT`, `STORAGE_VERSION`, `STORAGE_FULL`, `STORAGE_FAILED`. */
  static async open(directory: string, clock: Clock = systemClock): Promise<LocalLog> {
    return new LocalLog(await Storage.open({ directory, access: 'write', clock }));
  }

  /**
   * Appends rows to the topic that a stream begins at, which is made where it is not there, all or none. Each goes to the partition that its key decides.
   *
   * @throws {TypeError} where a row is not of the topic's fields.
   */
  async append<S extends Shape>({ source }: Stream<S>, rows: readonly object[]): Promise<void> {
    const { schema, key, topic } = source;
    const partitionCount = this.#ensured(topic);
    const encoder = encoderOf(schema, topic, key, partitionCount);
    const { messages } = encoder.encode(arrivedRows(schema, rows));
    messages.timestampsMs.fill(-1);
    await this.#storage.append(messages);
  }

  /** Every message of a topic, read as JSON: partition after partition, each in its order. @throws {SluiceError} `TOPIC_MISSING` */
  async read(topic: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
    await using source = new EmbeddedTopicSource(this.#storage, topic);
    const found: Readonly<Record<string, unknown>>[] = [];
    for (const { partition, startOffset, endOffset } of await source.ranges()) {
      await source.seek([{ partition, offset: startOffset }]);
      for (let next = startOffset; next < endOffset;) {
        const polled = await source.poll({ maxRecords: endOffset - next, maxWaitMs: readWaitMs });
        if (polled?.kind !== 'messages') continue;
        const { messages } = polled;
        next += messages.messageCount;
        for (let i = 0; i < messages.messageCount; i++) {
          found.push(
            JSON.parse(Buffer.from(messageValue(messages, i)).toString()) as Readonly<Record<string, unknown>>,
          );
        }
      }
    }
    return found;
  }

  /**
   * Runs a stream as a job: exactly once from its topic to the topic `to`, over any crash; run again, it goes on where it was.
   *
   * @returns what it has done in this run.
   * @throws {SluiceError} `JOB_CHANGED` where the job of that name was another stream, or another version; `DIRECTORY_IN_USE` where it runs already; what ended the query.
   */
  async run<S extends Shape>(stream: Stream<S>, options: JobOptions<S['row']>): Promise<QueryTotals> {
    const { job, to, version = '1', deadLetters = `${job}-dead-letters`, trigger = 'availableNow', signal } = options;
    const { inputs } = stream;
    const storage = this.#storage;
    const counts = inputs.map(({ topic }) => this.#ensured(topic));
    const partitionCount = Math.max(...counts);
    const results = stream.plan.schema;
    const branches = openBranches(to, results, job);
    for (const { topic } of branches) storage.ensureTopic(topic, { partitionCount });
    storage.ensureTopic(deadLetters, { partitionCount });
    // Results without a key stay where their records came from.
    const sourceKey = inputs.length === 1 ? (inputs[0]?.key ?? []) : [];
    const resultKey = (stream.plan.key ?? sourceKey).filter((name) => results.indexOf(name) >= 0);
    const outputs = branches.map((branch) => {
      const { partitionCount: own } = storage.ensureTopic(branch.topic, { partitionCount });
      return { ...branch, encoder: encoderOf(results, branch.topic, resultKey, own) };
    });
    const jobDigest = createHash('sha256')
      .update(JSON.stringify([stream.meaning, version]))
      .digest('hex');
    const rules = inputs.map(({ eventTime }) => ({
      delayMs: eventTime.delayMs,
      maxFutureSkewMs: defaultMaxFutureSkewMs,
    }));
    const own = (letters: readonly DeadLetter[]): readonly DeadLetter[] => inTheirTopics(letters, inputs);
    const query = new StreamingQuery(
      {
        name: job,
        jobDigest,
        modelDigest: '',
        ...this.#openSource(inputs),
        watermark: { inputs: rules },
        ...idleRule(inputs),
        commitLog: new EmbeddedCommitLog({
          storage,
          job,
          jobDigest,
          inputTopic: inputs.length === 1 ? (inputs[0]?.topic ?? null) : null,
        }),
        openSection: (start, state) => stream.openSection(start, state),
        score: (records): Promise<Scored> => Promise.resolve({ records, deadLetters: [] }),
        encode: (records) => encodeBranches(outputs, records, inputs.length),
        encodeDeadLetters: (letters) => encodeDeadLetters(deadLetters, own(letters), partitionCount),
        bounds: { ...defaultBounds, ...options.bounds },
      },
      storage.clock,
      () => undefined,
    );
    await query.run(trigger, signal ?? new AbortController().signal);
    return query.totals;
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#storage[Symbol.asyncDispose]();
  }

  /** How many partitions a topic has, which is made where it is not there. */
  #ensured(topic: string): number {
    const known = this.#storage.topics().find(({ name }) => name === topic);
    const partitionCount = known?.partitionCount ?? newTopicPartitions;
    return this.#storage.ensureTopic(topic, { partitionCount }).partitionCount;
  }

  /** What reads and decodes the topics of a stream. */
  #openSource(inputs: readonly StreamInput[]): { readonly source: Source; readonly decoder: Decoder } {
    const [first, second] = inputs;
    assert(first !== undefined, 'a stream reads something');
    const sources = inputs.map(({ topic }) => new EmbeddedTopicSource(this.#storage, topic));
    if (second === undefined) {
      const { schema, key, eventTime } = first;
      const [source] = sources;
      assert(source !== undefined);
      const decoder = new JsonDecoder({ schema, eventTimeField: eventTime.field, keyFields: key });
      return { source, decoder: first.arrivals === 'told' ? new ArrivalDecoder(decoder, schema) : decoder };
    }
    const merged = new MergedSource(sources, inputs.filter(({ read }) => read === 'first').length);
    const reader = readSeveral(inputs, merged, (input, newestMs) => {
      merged.advance(input, newestMs);
    });
    return { source: reader, decoder: reader };
  }
}

/** Runs a stream as a job on the embedded log of `dir`: {@link LocalLog.run} for whoever needs no more of the log. */
export async function runLocal<S extends Shape>(
  stream: Stream<S>,
  { dir, ...options }: JobOptions<S['row']> & { readonly dir: string },
): Promise<QueryTotals> {
  await using log = await LocalLog.open(dir);
  return await log.run(stream, options);
}

/** When a partition is idle, of a stream of one topic; ADR 0045. */
function idleRule([first, second]: readonly StreamInput[]): Pick<QueryDefinition, 'idle'> {
  if (first === undefined || second !== undefined) return {};
  return { idle: { inputs: [{ timeoutMs: idleTimeoutMs, watermark: 'stays' }], schema: first.schema } };
}

/** Results as messages of the topics that they go to. */
function encodeBranches(
  outputs: readonly (OpenBranch & { readonly encoder: JsonEncoder })[],
  records: RecordBatch,
  inputCount: number,
): Outputs {
  const deadLetters: DeadLetter[] = [];
  const messages = outputs.map(({ topic, choose, encoder }) => {
    const chosen = choose(records);
    const { partitions } = chosen.records;
    // Under the numbers that partitions have in their own topics.
    const own = partitions.map((partition) => partitionInInput(partition, inputCount));
    const encoded = encoder.encode({ ...chosen.records, partitions: own });
    encoded.messages.timestampsMs.fill(-1);
    deadLetters.push(...chosen.deadLetters, ...unwritten(encoded.failures, chosen.records, topic));
    return encoded.messages;
  });
  return { messages, deadLetters };
}

/** Dead letters under the names of the topics that their records stand in. */
function inTheirTopics(letters: readonly DeadLetter[], inputs: readonly StreamInput[]): readonly DeadLetter[] {
  return letters.map((letter) => ({
    ...letter,
    topic: inputs[inputOfPartition(letter.partition, inputs.length)]?.topic ?? letter.topic,
    partition: partitionInInput(letter.partition, inputs.length),
  }));
}

function encoderOf(schema: Schema, topic: string, key: readonly string[], partitionCount: number): JsonEncoder {
  const fields = schema.fields
    .filter(({ name }) => !name.startsWith('('))
    .map(({ name }) => ({ name, value: { kind: 'column', column: name } as const }));
  return new JsonEncoder({ schema, fields, topic, key, partitioner: keyPartitioner(partitionCount) });
}
