import { strict as assert } from 'node:assert';
import { map } from 'rxjs';
import { ExchangeDecoder } from '../../engine/exchange/exchange-decoder.ts';
import { passengers } from '../../engine/exchange/exchange-format.ts';
import { arrivalsOf, arrivedSchema } from '../../engine/exchange/arrivals.ts';
import type { QueryDefinition } from '../../engine/execution/query-definition.ts';
import type { Section } from '../../engine/execution/section.ts';
import { numberColumn } from '../../engine/record/column.ts';
import type { MessageBatch } from '../../engine/record/message-batch.ts';
import { columnOf, withColumns, type RecordBatch } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import type { Decoded, Decoder } from '../../engine/serde/decoder.ts';
import { mergedPartition } from '../../engine/source/merged/input-partition.ts';
import { liftRecords, type Lift } from '../../engine/source/merged/lift.ts';
import { PartitionWatermarks, type HoldRule } from '../../engine/time/partition-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { InputsPlan } from '../inputs-plan.ts';
import { acrossWriters } from './across-writers.ts';
import { unwrittenLetters, writeLetters } from './assemble-query.ts';
import { ExchangeWriter } from './exchange-writer.ts';
import { inTheirInputs } from './input-positions.ts';
import { lateRecords } from './open-late-encoder.ts';
import { openSection } from './open-section.ts';
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
  assert(input !== undefined && decoder !== null, 'a job that is split reads topics');
  const schema = arrivedSchema(stage.outputSchema);
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
  // Under the numbers that its partitions have among those of all inputs.
  const numbered = (records: RecordBatch): RecordBatch => {
    const { length } = plan.inputs;
    const partitions = records.partitions.map((partition) => mergedPartition(stage.origin, partition, length));
    return { ...records, partitions };
  };
  return {
    ...whole,
    decoder: new InputDecoder(decoder, stage.origin, input.lift, schema),
    watermark: { delayMs, maxFutureSkewMs },
    openSection: () => nothing,
    score: (records) => writer.score(records),
    encode: (records) => {
      const { messages, failures } = writer.write(records, numbered);
      return { messages, deadLetters: unwrittenLetters(failures, records, parts.input) };
    },
    encodeDeadLetters: (letters) => writeLetters(job, parts.encodeDeadLetters, letters),
  };
}

/** A task that reads the exchange of several inputs, and does everything that the job does, as one process does it that reads them all. */
export function jointStage(
  job: CheckedJob,
  plan: InputsPlan,
  stage: Stage,
  parts: StageParts,
  whole: QueryDefinition,
): QueryDefinition {
  const exchange = stage.input === 'source' ? null : stage.input.topic;
  const { maxLagMs } = holdRule(stage, 1);
  const { beforeMs = 0, afterMs = 0 } = plan.join?.definition ?? {};
  const ofWriters = (writers: number): HoldRule => {
    return { writers, maxLagMs: Math.max(shortestHoldMs, maxLagMs, beforeMs + afterMs), heard: 'unbounded' };
  };
  const { upstreams = [] } = parts;
  const holds = upstreams.map(ofWriters);
  const hold = ofWriters(upstreams.reduce((sum, count) => sum + count, 0));
  const { windows } = job;
  const across = windows === null ? job : { ...job, windows: acrossWriters(windows) };
  const lateSchema = lateRecords(job)?.schema;
  return {
    ...whole,
    decoder: new ExchangeDecoder({ columns: stage.inputSchema, eventTimeField: passengers.eventTime }),
    watermark: { carried: hold },
    openSection: (start, reader) => {
      const watermarks = new PartitionWatermarks(start.watermarks.entries(), hold);
      const section = openSection(across, { ...start, watermarks, hold, holds }, reader);
      // What rides along is of no more use: the records' partitions are those of their inputs, as where one process reads these.
      const unpacked = map((records: RecordBatch) => projected(records, plan.schema));
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

/** Decodes an input's messages as records of the columns that all inputs share, each with its event time, and with when its log took it. */
class InputDecoder implements Decoder {
  readonly #decoder: Decoder;
  readonly #origin: number;
  readonly #lift: Lift;
  readonly #common: Schema;
  readonly #schema: Schema;

  constructor(decoder: Decoder, origin: number, lift: Lift, schema: Schema) {
    this.#decoder = decoder;
    this.#origin = origin;
    this.#lift = lift;
    this.#schema = schema;
    const riding = new Set<string>([passengers.eventTime, passengers.arrival]);
    this.#common = new Schema(schema.fields.filter(({ name }) => !riding.has(name)));
  }

  prepare(messages: MessageBatch): Promise<void> | null {
    return this.#decoder.prepare(messages);
  }

  decode(messages: MessageBatch): Decoded {
    const { records, deadLetters } = this.#decoder.decode(messages);
    const lifted = liftRecords(records, this.#origin, this.#lift, this.#common);
    const columns = [records.eventTimesMs, arrivalsOf(records, messages)].map((values) => numberColumn(values));
    return { records: withColumns(lifted, this.#schema, columns), deadLetters };
  }
}
