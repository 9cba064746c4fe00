import { strict as assert } from 'node:assert';
import { map } from 'rxjs';
import { ExchangeDecoder } from '../../../engine/exchange/exchange-decoder.ts';
import { passengers } from '../../../engine/exchange/exchange-format.ts';
import { arrivalsOf, arrivedSchema } from '../../../engine/exchange/arrivals.ts';
import type { QueryDefinition } from '../../../engine/execution/query-definition.ts';
import type { Section } from '../../../engine/execution/section.ts';
import { numberColumn } from '../../../engine/record/column.ts';
import type { MessageBatch } from '../../../engine/record/message-batch.ts';
import { columnOf, withColumns, type RecordBatch } from '../../../engine/record/record-batch.ts';
import type { Field, Schema } from '../../../engine/record/schema.ts';
import type { Decoded, Decoder } from '../../../engine/serde/decoder.ts';
import { mergedPartition } from '../../../engine/source/merged/input-partition.ts';
import { liftRecords, type Lift } from '../../../engine/source/merged/lift.ts';
import { PartitionWatermarks, type HoldRule } from '../../../engine/time/partition-watermarks.ts';
import type { CheckedJob } from '../../checked-job.ts';
import type { InputsPlan } from '../../plan/inputs-plan.ts';
import { acrossWriters } from './across-writers.ts';
import { unwrittenLetters, writeLetters } from '../assemble-query.ts';
import { ExchangeWriter } from './exchange-writer.ts';
import { handingOnSection } from '../sections/handing-on-section.ts';
import { inTheirInputs } from '../input-positions.ts';
import type { ChainPart } from '../sections/join-chain.ts';
import { linkSchema, sidesOf, type JointLink } from './joint-link.ts';
import { lateRecords } from '../open-late-encoder.ts';
import { openSection } from '../sections/open-section.ts';
import { handedOnIdle } from './stage-idleness.ts';
import { holdRule, type Exchange, type Stage } from './stages.ts';
import type { StageParts } from './task-parts.ts';

/** A job whose windows and joins wait for every input that was heard from, as in one process; an input's partition that was not is waited for only so long. */
const shortestHoldMs = 86_400_000;

/**
 * A task that reads one of several inputs and brings its records to the exchange that all share, under the columns that they have in common. It has no state.
 *
 * @param whole what the job's parts make of it, for what is not said here.
 */
export function inputStage(
  job: CheckedJob,
  plan: InputsPlan,
  stage: Stage,
  output: Exchange,
  parts: StageParts,
  whole: QueryDefinition,
): QueryDefinition {
  const input = plan.inputs[stage.origin];
  const { decoder } = parts;
  const writes = stage.joint?.writes ?? null;
  assert(input !== undefined && decoder !== null && writes !== null, 'a job that is split reads topics');
  const { length } = plan.inputs;
  const sides = sidesOf(plan, writes);
  const arrived = arrivedSchema(stage.outputSchema);
  // Where results are read beside the input's records, partitions have other numbers than among the inputs alone.
  const schema =
    sides === length ? arrived : arrived.with({ name: passengers.inputPartition, type: 'long', presence: 'required' });
  const { delayMs, maxFutureSkewMs } = input.source.eventTime;
  const nothing: Section = { steps: [], logics: [] };
  const writer = new ExchangeWriter(output, {
    schema,
    columns: stage.outputSchema,
    partitionCount: parts.downstreamPartitions,
    writer: 'own',
    eventTimeField: passengers.eventTime,
    delayMs,
  });
  const numbered = (records: RecordBatch): RecordBatch => {
    const partitions = records.partitions.map((partition) => mergedPartition(stage.origin, partition, sides));
    return { ...records, partitions };
  };
  const common = linkSchema(plan, writes);
  const lift = common.fields.map((_, field) => input.lift[field] ?? null);
  return {
    ...whole,
    decoder: new InputDecoder(decoder, { input: stage.origin, inputCount: length, lift, common, schema }),
    watermark: { delayMs, maxFutureSkewMs },
    ...handedOnIdle(job, stage, output, schema),
    openSection: () => nothing,
    score: (records) => writer.score(records),
    encode: (records) => {
      const { messages, failures } = writer.write(records, numbered);
      return { messages, deadLetters: unwrittenLetters(failures, records, parts.input) };
    },
    encodeDeadLetters: (letters) => writeLetters(job, parts.encodeDeadLetters, letters),
  };
}

/** A task that reads an exchange in which inputs meet, and does everything that the job does with them there: to the end of the job, or up to the next exchange. */
export function jointStage(
  job: CheckedJob,
  plan: InputsPlan,
  stage: Stage,
  parts: StageParts,
  whole: QueryDefinition,
): QueryDefinition {
  const { reads = null, writes = null } = stage.joint ?? {};
  assert(stage.input !== 'source' && reads !== null, 'what meets is read from an exchange');
  const exchange = stage.input.topic;
  const { joins } = reads;
  const reachesMs = [...(plan.join?.before ?? []), ...(plan.join === null ? [] : [plan.join])]
    .slice(joins.from, joins.to)
    .map(({ definition: { beforeMs, afterMs } }) => beforeMs + afterMs);
  const maxLagMs = Math.max(shortestHoldMs, holdRule(stage, 1).maxLagMs, ...reachesMs);
  const { upstreams = [] } = parts;
  const holds = upstreams.map((writers, side): HoldRule => {
    // Each task of the link before is heard from as soon as all inputs are that meet there: they say in every partition how far they are.
    return { writers, maxLagMs: side < plan.inputs.length ? maxLagMs : Infinity, heard: 'unbounded' };
  });
  const writers = upstreams.reduce((sum, count) => sum + count, 0);
  const hold: HoldRule = { writers, maxLagMs, heard: 'unbounded' };
  const { sessions, windows, pattern } = job;
  const across = {
    ...job,
    sessions: sessions === null ? null : acrossWriters(sessions),
    windows: windows === null ? null : acrossWriters(windows),
    pattern: pattern === null ? null : acrossWriters(pattern),
  };
  const lateSchema = lateRecords(job)?.schema;
  const isFirst = reads.results === null;
  const columns = columnsBehind(plan, reads, writes);
  const part: ChainPart = { ...joins, sides: sidesOf(plan, reads) };
  return {
    ...whole,
    decoder: new ExchangeDecoder({
      columns: stage.inputSchema,
      eventTimeField: passengers.eventTime,
      offsets: isFirst ? 'of the input' : 'of the exchange',
    }),
    // A join knows how far each of its sides is: no record of one is late because another side is ahead.
    watermark: { carried: plan.join === null ? hold : { ...hold, maxLagMs: Infinity } },
    openSection: (start, reader) => {
      const own = { ...start, watermarks: new PartitionWatermarks(start.watermarks.entries(), hold), hold, holds };
      const section =
        writes === null
          ? openSection(across, own, reader, part)
          : handingOnSection(plan, part, linkSchema(plan, writes), own, reader);
      // What rides along is of no more use where one process reads all inputs.
      const unpacked = map((records: RecordBatch) => projected(records, columns));
      return { ...section, steps: [{ operator: unpacked, fate: 'keeps' }, ...section.steps] };
    },
    ...(lateSchema === undefined ? {} : routedLate(whole, (late) => projected(late, lateSchema))),
    // The bytes at a position of an input are not here, and those at the same position of the exchange are another record's.
    encodeDeadLetters: (letters) =>
      writeLetters(
        job,
        parts.encodeDeadLetters,
        letters.flatMap((letter) =>
          letter.topic === exchange ? [letter] : inTheirInputs(job, [{ ...letter, value: null }]),
        ),
      ),
    ...(writes === null ? {} : handingOn(plan, stage, parts, sidesOf(plan, writes))),
  };
}

/** What operators are given of what meets in a link: the link's columns and, where they hand results on or are given such, what these must be told by. */
function columnsBehind(plan: InputsPlan, reads: JointLink, writes: JointLink | null): Schema {
  const riding = [
    ...(reads.results === null ? [] : [passengers.inputPartition, passengers.inputOffset]),
    ...(writes === null ? [] : [passengers.arrival]),
  ];
  return linkSchema(plan, reads).with(...riding.map((name): Field => ({ name, type: 'long', presence: 'required' })));
}

/** How a task ends that hands results on to the next link: nothing is scored. */
function handingOn(
  { inputs }: InputsPlan,
  { output, outputSchema }: Stage,
  { partition, downstreamPartitions, input }: StageParts,
  sides: number,
): Pick<QueryDefinition, 'score' | 'encode'> {
  assert(output !== 'results', 'results that are handed on go to an exchange');
  const to = new ExchangeWriter(output, {
    schema: arrivedSchema(outputSchema),
    columns: outputSchema,
    partitionCount: downstreamPartitions,
    writer: mergedPartition(inputs.length, partition, sides),
    eventTimeField: passengers.eventTime,
    // Results carry the watermark themselves, and between them stands how far it is.
    delayMs: null,
  });
  return {
    score: (records) => to.score(records),
    encode: (records) => {
      const { messages, failures } = to.write(records);
      return { messages, deadLetters: unwrittenLetters(failures, records, input) };
    },
  };
}

/** What writes late records once they have the columns that their topic takes. */
export function routedLate(
  whole: QueryDefinition,
  unpacked: (late: RecordBatch) => RecordBatch,
): Pick<QueryDefinition, 'encodeLate'> {
  return { encodeLate: (late) => whole.encodeLate?.(unpacked(late)) ?? { messages: [], deadLetters: [] } };
}

function projected(records: RecordBatch, schema: Schema): RecordBatch {
  return { ...records, schema, columns: schema.fields.map(({ name }) => columnOf(records, name)) };
}

/** What an input's records become. */
interface InputColumns {
  readonly input: number;
  readonly inputCount: number;
  readonly lift: Lift;
  /** The columns of the exchange that the lift is for. */
  readonly common: Schema;
  /** Those, the event time, when the log took the record and, where it is asked for, which of all inputs' partitions it is of. */
  readonly schema: Schema;
}

/** Decodes an input's messages as records of the columns that all inputs share, each with its event time, and with when its log took it. */
class InputDecoder implements Decoder {
  readonly #decoder: Decoder;
  readonly #columns: InputColumns;

  constructor(decoder: Decoder, columns: InputColumns) {
    this.#decoder = decoder;
    this.#columns = columns;
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    return this.#decoder.prepare(messages);
  }

  decode(messages: MessageBatch): Decoded {
    const { input, inputCount, lift, common, schema } = this.#columns;
    const { records, deadLetters } = this.#decoder.decode(messages);
    const lifted = liftRecords(records, input, lift, common);
    const partitions = Float64Array.from(records.partitions, (each) => mergedPartition(input, each, inputCount));
    const riding = [records.eventTimesMs, arrivalsOf(records, messages), partitions];
    const columns = riding.slice(0, schema.fields.length - common.fields.length).map((values) => numberColumn(values));
    return { records: withColumns(lifted, schema, columns), deadLetters };
  }
}
