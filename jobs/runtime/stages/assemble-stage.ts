import { strict as assert } from 'node:assert';
import { ArrivalDecoder, arrivedSchema } from '../../../engine/exchange/arrivals.ts';
import { ExchangeDecoder, exchangedSchema } from '../../../engine/exchange/exchange-decoder.ts';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import { PassedWatermark, passedSchema } from '../../../engine/exchange/pass-watermarks.ts';
import type { QueryDefinition, SectionStart } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import { columnOf, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { Schema } from '../../../engine/record/schema.ts';
import type { Decoder } from '../../../engine/serde/decoder.ts';
import type { StateReader } from '../../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../../engine/time/partition-watermarks.ts';
import { derivedSchema } from '../../../operators/derive/derive.ts';
import { rollingFields } from '../../../operators/rolling/rolling-layout.ts';
import { explodedField } from '../../../operators/select/explode.ts';
import { sessionFields } from '../../../operators/sessionise/session-logic.ts';
import type { CheckedJob } from '../../checked-job.ts';
import { inputStage, jointStage, routedLate } from './assemble-inputs.ts';
import { assembleQuery, unwrittenLetters } from '../assemble-query.ts';
import { ExchangeWriter } from './exchange-writer.ts';
import { featureSection, type SectionPlan } from '../sections/feature-section.ts';
import { patternSection } from '../sections/pattern-section.ts';
import type { StageParts } from './task-parts.ts';
import { withoutState } from './without-state.ts';
import { closedBehind, handedOnIdle, idleWriters } from './stage-idleness.ts';
import { holdRule, keepsState, type Exchange, type Stage } from './stages.ts';
import { windowSection } from '../sections/window-section.ts';

/**
 * Puts a stage of a job together: the query of one of its tasks. Called once for each acquisition of a task.
 *
 * @param parts `input` is the job's own topic in every stage, since that is what dead letters name; `decoder` is the source's and only the first stage's (an exchange
 *   has its own); `model` and `encoders` are the last stage's.
 */
export function assembleStage(job: CheckedJob, stage: Stage, parts: StageParts): QueryDefinition {
  const commitLog = keepsState(job, stage) ? parts.commitLog : withoutState(parts.commitLog);
  const whole = { ...assembleQuery(job, { ...parts, commitLog }), jobDigest: stage.digest };
  const { input, output } = stage;
  if (job.source.kind === 'inputs') {
    const { plan } = job.source;
    if (input === 'source' && output !== 'results') return inputStage(job, plan, stage, output, parts, whole);
    return jointStage(job, plan, stage, parts, whole);
  }
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
    input: parts.input,
    records: job.records,
    sessions: stage.sessions,
    steps: stage.steps,
    watermarks: 'kept',
  };
  return {
    ...whole,
    decoder: new ArrivalDecoder(decoder, stage.inputSchema),
    openSection: (start, state) => featureSection(plan, start, state),
    ...handedOnIdle(job, stage, output, sectionSchema(plan)),
    ...handingOn(job, output, stage, plan, parts, 'own'),
  };
}

/** Reads an exchange; writes the job's results, or to a further exchange. */
function laterStage(job: CheckedJob, stage: Stage, parts: StageParts, whole: QueryDefinition): QueryDefinition {
  const { output, inputSchema: columns } = stage;
  const exchange = stage.input === 'source' ? null : stage.input.topic;
  const hold = holdRule(stage, parts.upstreamPartitions);
  const operators = closedBehind(job, stage);
  const plan: SectionPlan = {
    inputSchema: exchangedSchema(columns),
    duplicates: null,
    sessions: operators.sessions,
    steps: stage.steps,
    watermarks: output === 'results' ? 'kept' : 'passed-on',
  };
  const decoder: Decoder = new ExchangeDecoder({ columns, eventTimeField: job.source.eventTime.field });
  const idle = idleWriters(job, stage);
  let passed: PassedWatermark | null = null;
  const common: QueryDefinition = {
    ...whole,
    decoder,
    watermark: { carried: hold },
    openSection: (start, reader) => {
      const watermarks = new PartitionWatermarks(start.watermarks.entries(), hold);
      passed = new PassedWatermark(watermarks.copy(), idle);
      return stageSection(operators, { ...plan, passed }, { ...start, watermarks, hold }, reader);
    },
    // The bytes at a position of the job's input are not here, and those at the same position of the exchange are another record's.
    encodeDeadLetters: (letters) =>
      whole.encodeDeadLetters(
        letters.map((letter) => (letter.topic === exchange ? letter : { ...letter, value: null })),
      ),
  };
  if (stage.windows !== null && common.encodeLate !== undefined) {
    const { inputSchema: lateSchema } = stage.windows;
    return { ...common, ...routedLate(whole, (late) => resultsOf(late, lateSchema)) };
  }
  // Results of windows and patterns have columns of their own.
  if (stage.windows !== null || stage.pattern !== null) return common;
  if (output === 'results') {
    return { ...common, score: (records) => whole.score(resultsOf(records, job.features.outputSchema)) };
  }
  return { ...common, ...handingOn(job, output, stage, plan, parts, parts.partition, () => passed?.ms ?? -Infinity) };
}

/** What a stage that reads an exchange does with its records. */
function stageSection(
  { windows, pattern }: Pick<Stage, 'windows' | 'pattern'>,
  plan: SectionPlan,
  start: SectionStart,
  state: StateReader,
): Section {
  if (windows !== null) return windowSection(plan, windows, start, state);
  if (pattern !== null) return patternSection(plan, pattern, start, state);
  return featureSection(plan, start, state);
}

/** How a stage that writes an exchange ends: nothing is scored, and what comes out goes on. */
function handingOn(
  job: CheckedJob,
  output: Exchange,
  stage: Stage,
  plan: SectionPlan,
  { downstreamPartitions: partitionCount, input }: StageParts,
  writer: number | 'own',
  passedMs?: () => number,
): Pick<QueryDefinition, 'score' | 'encode'> {
  const { field: eventTimeField, delayMs } = job.source.eventTime;
  const to = new ExchangeWriter(output, {
    schema: sectionSchema(plan),
    columns: stage.outputSchema,
    partitionCount,
    writer,
    eventTimeField,
    delayMs: stage.input === 'source' ? delayMs : null,
    ...(passedMs === undefined ? {} : { passedMs }),
  });
  return {
    score: (records) => to.score(records),
    encode: (records) => {
      const { messages, failures } = to.write(records);
      return { messages, deadLetters: unwrittenLetters(failures, atInput(records), input) };
    },
  };
}

/** The schema of what a section gives. */
function sectionSchema({ inputSchema, records, sessions, steps, watermarks }: SectionPlan): Schema {
  let schema = watermarks === 'passed-on' ? passedSchema(inputSchema) : inputSchema;
  const explode = records?.explode ?? null;
  if (explode !== null) schema = schema.with(explodedField(explode));
  if ((sessions ?? null) !== null) schema = schema.with(...sessionFields);
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
