import { strict as assert } from 'node:assert';
import { defaultBounds } from '../../engine/execution/query-definition.ts';
import type { Encoder } from '../../engine/serde/encoder.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import type { SchemaRegistry } from '../../engine/serde/schema-registry.ts';
import type { Source } from '../../engine/source/source.ts';
import type { InputUnderTest, QueryUnderTest, RowForm, TopicUnderTest } from '../../engine/testing/query-under-test.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleQuery } from '../runtime/assemble-query.ts';
import { openDeadLetterEncoder, outputTopics } from '../runtime/open-outputs.ts';
import { openAmendEncoder } from '../runtime/open-amend-encoder.ts';
import { openModel } from '../runtime/open-model.ts';
import { lateRecords, openLateEncoder } from '../runtime/open-late-encoder.ts';
import { openResultEncoder } from '../runtime/window-outputs.ts';
import { readInputs } from '../runtime/open-inputs.ts';
import { openDecoder, type ReadRecords } from '../runtime/open-source.ts';

// With it, who imports this from another package has all that a job's test needs.
export { loadJob } from '../load-job.ts';

/** What a job is tested with. */
export interface JobTestOptions {
  /** The model registry's directory; not looked at for a job that does not score. */
  readonly modelsDirectory: string;
  /** Partitions of its input, and of the topics for which the job says nothing else; default 1. */
  readonly partitions?: number;
}

/** A job ready for the test kit. Dispose of it when its tests are done: it may hold a model. */
export interface JobUnderTest extends QueryUnderTest, AsyncDisposable {}

/**
 * Makes a checked job ready for the test kit: its operators, its model, its limits, over topics in memory. Rows go in and come out as JSON, whatever the job's formats: a
 * source that is a file or the simulator becomes the topic `input`, and sinks beside the first topic, which follow it, are left out.
 *
 *     await using job = await jobUnderTest(checked, { modelsDirectory: 'models' });
 *     await testQuery(job, [addData([…]), checkAnswer([…])]);
 *
 * @throws {SluiceError} what the model throws.
 */
export async function jobUnderTest(
  job: CheckedJob,
  { modelsDirectory, partitions = 1 }: JobTestOptions,
): Promise<JobUnderTest> {
  const inJson = jsonFormOf(job);
  const { source, deadLetters, late, amendments } = inJson;
  const topic = source.kind === 'topic' ? source.topic : 'input';
  const model = await openModel(inJson, modelsDirectory);
  const outputs: TopicUnderTest[] = [];
  const encoders: Encoder[] = [];
  for (const output of outputTopics(inJson)) {
    const count = output.partitions ?? partitions;
    outputs.push({ topic: output.topic, partitions: count });
    encoders.push(await openResultEncoder(inJson, model?.identity ?? null, output, count, noRegistry));
  }
  const lateEncoder = await openLate(inJson, partitions);
  const amendEncoder = await openAmendEncoder(inJson, partitions, noRegistry);
  const encodeDeadLetters = await openDeadLetterEncoder(inJson, partitions, noRegistry);
  const bounds = { ...defaultBounds, flushEveryMs: job.state.flushEveryMs };
  return {
    name: job.name,
    input: { topic, ...inputOf(job, partitions) },
    outputs,
    ...(late.topic === null ? {} : { late: { topic: late.topic, partitions } }),
    ...(amendments === null ? {} : { amended: { topic: amendments.topic, partitions } }),
    deadLetters: deadLetters.policy === 'fail' ? null : { topic: deadLetters.topic, partitions },
    bounds,
    open: (parts) =>
      assembleQuery(inJson, {
        ...parts,
        input: topic,
        ...openRecords(inJson, parts.source),
        model,
        encoders,
        lateEncoder,
        amendEncoder,
        encodeDeadLetters,
      }),
    [Symbol.asyncDispose]: async () => {
      await model?.scorer[Symbol.asyncDispose]();
    },
  };
}

/** How rows become messages of the job's input, or inputs. */
function inputOf({ schema, source }: CheckedJob, partitions: number): Omit<InputUnderTest, 'topic'> {
  const formOf = (read: ReadRecords): RowForm => ({
    schema: read.schema,
    eventTimeField: read.source.eventTime.field,
    keyFields: [read.source.key],
    delayMs: read.source.eventTime.delayMs,
  });
  if (source.kind !== 'inputs') return { partitions, ...formOf({ schema, source }) };
  const { inputs } = source.plan;
  const forms = inputs.map((input) => ({ name: input.name, ...formOf(input) }));
  return { partitions: partitions * inputs.length, ...formOf({ schema, source }), inputs: forms };
}

/** What reads and decodes the job's records. */
function openRecords(job: CheckedJob, source: Source): { readonly source: Source; readonly decoder: Decoder } {
  if (job.source.kind !== 'inputs') return { source, decoder: openDecoder(job, noRegistry) };
  const { plan } = job.source;
  const decoders = plan.inputs.map((input) => {
    return openDecoder({ ...input, source: { ...input.source, format: 'json' } }, noRegistry);
  });
  const reader = readInputs(plan, source, decoders);
  return { source: reader, decoder: reader };
}

/** What writes the topic of late records; `null` for a job that has none. */
async function openLate(job: CheckedJob, partitions: number): Promise<Encoder | null> {
  const records = lateRecords(job);
  return records === null ? null : openLateEncoder({ ...records, format: 'json' }, partitions, noRegistry);
}

/** The job with everything that it reads and writes in JSON. */
function jsonFormOf(job: CheckedJob): CheckedJob {
  const { source, sinks, deadLetters, amendments } = job;
  return {
    ...job,
    source: { ...source, format: 'json' },
    sinks: sinks.map((sink) => (sink.kind === 'topic' ? { ...sink, format: 'json' } : sink)),
    deadLetters: deadLetters.policy === 'fail' ? deadLetters : { ...deadLetters, format: 'json' },
    amendments: amendments === null ? null : { ...amendments, format: 'json' },
  };
}

/** JSON needs no registry of schemas. */
const noRegistry: SchemaRegistry = {
  name: 'no registry',
  schemaById: () => assert.fail('a job in JSON reads no schema'),
  register: () => assert.fail('a job in JSON registers no schema'),
};
