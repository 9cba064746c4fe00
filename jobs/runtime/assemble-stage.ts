import { strict as assert } from 'node:assert';
import { ArrivalDecoder, arrivedSchema } from '../../engine/exchange/arrivals.ts';
import { ExchangeDecoder, exchangedSchema } from '../../engine/exchange/exchange-decoder.ts';
import { ExchangeEncoder } from '../../engine/exchange/exchange-encoder.ts';
import { passengers } from '../../engine/exchange/exchange-format.ts';
import { passedSchema } from '../../engine/exchange/pass-watermarks.ts';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import { columnOf, type RecordBatch } from '../../engine/record/record-batch.ts';
import type { Schema } from '../../engine/record/schema.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import { PartitionWatermarks, type HoldRule } from '../../engine/time/partition-watermarks.ts';
import { retentionMs, type FeatureStep } from '../../features/feature-plan.ts';
import { derivedSchema } from '../../operators/derive/derive.ts';
import { rollingFields } from '../../operators/rolling/rolling-layout.ts';
import type { CheckedJob } from '../checked-job.ts';
import { assembleQuery, unwrittenLetters, type QueryParts } from './assemble-query.ts';
import { featureSection, type SectionPlan } from './feature-section.ts';
import type { Exchange, Stage } from './stages.ts';

/** What a cluster gives a stage of a job to run on. */
export interface StageParts extends QueryParts {
  /** The partition of the stage's input that the task is. */
  readonly partition: number;
  /** Partitions of the topic that the stage before reads: as many tasks write to this one's exchange. Of no matter to the first stage. */
  readonly upstreamPartitions: number;
  /** Partitions of the exchange that the stage writes. Of no matter to the last. */
  readonly downstreamPartitions: number;
}

/** An outage of one writer up to this long costs no answer its exactness, however short the windows are. */
const shortestHoldMs = 86_400_000;

/**
 * Puts a stage of a job together: the query of one of its tasks. Called once for each acquisition of a task.
 *
 * @param parts `input` is the job's own topic in every stage, since that is what dead letters name; `decoder` is the source's and only the first stage's (an exchange
 *   has its own); `model` and `encoders` are the last stage's.
 */
export function assembleStage(job: CheckedJob, stage: Stage, parts: StageParts): QueryDefinition {
  const whole = { ...assembleQuery(job, parts), jobDigest: stage.digest };
  const { input, output } = stage;
  if (input === 'source') return output === 'results' ? whole : firstStage(job, stage, output, parts, whole);
  return laterStage(job, stage, parts, whole);
}

/** Reads the job's input and writes to an exchange. */
function firstStage(
  job: CheckedJob,
  stage: Stage,
  output: Exchange,
  parts: StageParts,
  whole: QueryDefinition,
): QueryDefinition {
  const { decoder } = parts;
  assert(decoder !== null, 'a job that is split reads a topic');
  const plan: SectionPlan = {
    inputSchema: arrivedSchema(stage.inputSchema),
    duplicates: job.source.duplicates,
    records: job.records,
    steps: stage.steps,
    watermarks: 'kept',
  };
  return {
    ...whole,
    decoder: new ArrivalDecoder(decoder, stage.inputSchema),
    openSection: (start, state) => featureSection(plan, start, state),
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    encode: exchangeWriter(output, stage, plan, parts, 'own'),
  };
}

/** Reads an exchange; writes the job's results, or to a further exchange. */
function laterStage(job: CheckedJob, stage: Stage, parts: StageParts, whole: QueryDefinition): QueryDefinition {
  const { output, inputSchema: columns } = stage;
  const exchange = stage.input === 'source' ? null : stage.input.topic;
  const hold: HoldRule = { writers: parts.upstreamPartitions, maxLagMs: holdMs(stage.steps) };
  const plan: SectionPlan = {
    inputSchema: exchangedSchema(columns),
    duplicates: null,
    steps: stage.steps,
    watermarks: output === 'results' ? 'kept' : 'passed-on',
  };
  const decoder: Decoder = new ExchangeDecoder({ columns, eventTimeField: job.source.eventTime.field });
  const common: QueryDefinition = {
    ...whole,
    decoder,
    watermark: { carried: hold },
    openSection: ({ state, watermarks }, reader) =>
      featureSection(plan, { state, watermarks: new PartitionWatermarks(watermarks.entries(), hold) }, reader),
    // The bytes at a position of the job's input are not here, and those at the same position of the exchange are another record's.
    encodeDeadLetters: (letters) =>
      whole.encodeDeadLetters(
        letters.map((letter) => (letter.topic === exchange ? letter : { ...letter, value: null })),
      ),
  };
  if (output === 'results') {
    return { ...common, score: (records) => whole.score(resultsOf(records, job.features.outputSchema)) };
  }
  return {
    ...common,
    score: (records) => Promise.resolve({ records, deadLetters: [] }),
    encode: exchangeWriter(output, stage, plan, parts, parts.partition),
  };
}

/** For how long a writer that is behind the others holds back what they have passed: as long as rows are kept, so that state at most doubles. */
function holdMs(steps: readonly FeatureStep[]): number {
  const kept = steps.map((step) => (step.kind === 'rolling' ? retentionMs(step.definition) : 0));
  return Math.max(shortestHoldMs, ...kept);
}

function exchangeWriter(
  { topic, key }: Exchange,
  stage: Stage,
  plan: SectionPlan,
  { downstreamPartitions: partitionCount, input }: StageParts,
  writer: number | 'own',
): QueryDefinition['encode'] {
  const schema = sectionSchema(plan);
  const encoder = new ExchangeEncoder({ topic, key, partitionCount, schema, columns: stage.outputSchema, writer });
  return (records) => {
    const { messages, failures } = encoder.encode(records);
    return { messages: [messages], deadLetters: unwrittenLetters(failures, atInput(records), input) };
  };
}

/** The schema of what a section gives. */
function sectionSchema({ inputSchema, steps, watermarks }: SectionPlan): Schema {
  let schema = watermarks === 'passed-on' ? passedSchema(inputSchema) : inputSchema;
  for (const step of steps) {
    schema =
      step.kind === 'derive'
        ? derivedSchema(step.columns, schema)
        : schema.with(...rollingFields(step.definition, schema));
  }
  return schema;
}

/** The records under their positions in the job's input, which everything that is published names. */
function atInput(records: RecordBatch): RecordBatch {
  if (records.schema.indexOf(passengers.inputPartition) < 0) return records;
  const partitions = columnOf(records, passengers.inputPartition);
  assert(partitions.kind === 'number', 'partitions are numbers');
  return { ...records, partitions: Int32Array.from(partitions.values) };
}

/** The records as the job's plan has them, wherever their columns were computed. */
function resultsOf(records: RecordBatch, schema: Schema): RecordBatch {
  const columns = schema.fields.map(({ name }) => columnOf(records, name));
  return { ...atInput(records), schema, columns };
}
