import { strict as assert } from 'node:assert';
import { SluiceError } from '../../engine/error.ts';
import type { CommitLog } from '../../engine/execution/commit-log.ts';
import {
  defaultBounds,
  type Outputs,
  type QueryBounds,
  type QueryDefinition,
  type Scored,
} from '../../engine/execution/query-definition.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { MessageBatch } from '../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { DeadLetterEncoder } from '../../engine/serde/dead-letter-encoder.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import type { EncodeFailure, Encoder } from '../../engine/serde/encoder.ts';
import type { Source } from '../../engine/source/source.ts';
import { score } from '../../operators/score/score.ts';
import type { CheckedJob } from '../checked-job.ts';
import type { BoundModel } from './bind-model.ts';
import { branchEncoders } from './branch-encoder.ts';
import { inTheirInputs, underOwnPositions, watermarkRule } from './input-positions.ts';
import { partitionRules } from './partition-rules.ts';
import { openSection } from './sections/open-section.ts';
import { rescoreAmended } from './rescore-amended.ts';

/** A message without a timestamp of its own. */
const stampedByTheLog = -1;

/** What a profile gives a job to run on. */
export interface QueryParts {
  readonly source: Source;
  /** The topic, or file, that the source reads, as dead letters name it. */
  readonly input: string;
  /** `null` where the source gives records. */
  readonly decoder: Decoder | null;
  readonly commitLog: CommitLog;
  /** `null` for a job that does not score. */
  readonly model: BoundModel | null;
  /** One for each topic that the job writes its results to. */
  readonly encoders: readonly Encoder[];
  /** `null` for a job that stops at its first bad record. */
  readonly encodeDeadLetters: DeadLetterEncoder | null;
  /** Of the topic of late records, for a job that has one. */
  readonly lateEncoder?: Encoder | null;
  /** Of the topic of amendments, for a job that has one. */
  readonly amendEncoder?: Encoder | null;
  /** The partition that the query reads, where it reads one alone. */
  readonly partition?: number;
  readonly bounds?: Partial<QueryBounds>;
}

/** Puts a checked job and the parts that a profile made for it together: the query that the engine runs. Called once for each run. */
export function assembleQuery(job: CheckedJob, parts: QueryParts): QueryDefinition {
  const { source, decoder, commitLog, model, lateEncoder = null, amendEncoder = null } = parts;
  assert(
    (job.late.topic === null) === (lateEncoder === null),
    'late records need a topic exactly where the job says so',
  );
  const encoders = branchEncoders(job, parts.encoders);
  return {
    name: job.name,
    jobDigest: job.digest,
    modelDigest: model?.identity.digest ?? '',
    source,
    decoder,
    watermark: watermarkRule(job),
    ...partitionRules(job, parts.partition),
    commitLog,
    openSection: (start, state) => openSection(job, start, state),
    score: model === null ? unscored : scoring(job, model, parts.input),
    encode: (records) => encodeWith(job, encoders, parts.input, records),
    ...(lateEncoder === null
      ? {}
      : { encodeLate: (late: RecordBatch) => encodeWith(job, [lateEncoder], parts.input, late) }),
    ...(model === null || job.amendments?.scores !== 'before and after'
      ? {}
      : { scoreAmended: rescoreAmended(job.amendments.definition, model) }),
    ...(amendEncoder === null
      ? {}
      : { encodeAmended: (amended: RecordBatch) => encodeWith(job, [amendEncoder], parts.input, amended) }),
    encodeDeadLetters: (letters) => writeLetters(job, parts.encodeDeadLetters, inTheirInputs(job, letters)),
    bounds: { ...defaultBounds, flushEveryMs: job.state.flushEveryMs, ...paceOf(job), ...parts.bounds },
  };
}

/** The job's pace, where it has one. */
function paceOf({ trigger: { everyMs, maxOffsetsPerTrigger } }: CheckedJob): Pick<QueryBounds, 'pace'> {
  return everyMs === 0 && maxOffsetsPerTrigger === null ? {} : { pace: { everyMs, maxOffsetsPerTrigger } };
}

/** The scoring stage of a job without a model. */
const unscored = (records: RecordBatch): Promise<Scored> => Promise.resolve({ records, deadLetters: [] });

function scoring(job: CheckedJob, model: BoundModel, topic: string): (records: RecordBatch) => Promise<Scored> {
  const { scorer, inputs, threshold, explain } = model;
  const scoreRecords = score({ scorer, inputs, threshold, schema: job.features.outputSchema, topic });
  if (explain === null) return scoreRecords;
  return async (batch) => {
    const { records, deadLetters } = await scoreRecords(batch);
    return { records: explain(records), deadLetters };
  };
}

function encodeWith(job: CheckedJob, encoders: readonly Encoder[], input: string, records: RecordBatch): Outputs {
  const published = underOwnPositions(job, records);
  const encoded = encoders.map((encoder) => encoder.encode(published));
  // The log stamps messages as it takes them: when a record was answered is told by the message's timestamp, since its bytes are the same in every replay.
  for (const { messages } of encoded) messages.timestampsMs.fill(stampedByTheLog);
  const failures = encoded.flatMap(({ failures: found }) => found);
  return {
    messages: encoded.map(({ messages }) => messages),
    deadLetters: unwrittenLetters(failures, records, input),
  };
}

/**
 * The dead letters of records that could not be written, one for each however many outputs refused it. Called with what encoders give.
 *
 * @param records what they were given, under their positions in `topic`.
 */
export function unwrittenLetters(
  failures: readonly EncodeFailure[],
  { partitions, offsets }: RecordBatch,
  topic: string,
): readonly DeadLetter[] {
  const byRow = new Map(failures.map((failure) => [failure.row, failure]));
  return Array.from(byRow.values(), ({ row, code, message }) => {
    const [partition, offset] = [partitions[row] ?? 0, offsets[row] ?? 0];
    return { topic, partition, offset, stage: 'encode', code, message, value: null };
  });
}

/**
 * Writes dead letters as the job's policy has it. Called with those of a batch, under the positions where their records stand.
 *
 * @param encode `null` for a job that stops at its first bad record.
 * @throws {SluiceError} `BAD_RECORD` for such a job.
 */
export function writeLetters(
  job: CheckedJob,
  encode: DeadLetterEncoder | null,
  letters: readonly DeadLetter[],
): MessageBatch {
  if (encode === null) throw refused(job, letters);
  return encode(letters);
}

function refused(job: CheckedJob, letters: readonly DeadLetter[]): SluiceError {
  const [first] = letters;
  const { topic = '', partition = 0, offset = 0, code = '', message = '' } = first ?? {};
  return new SluiceError(
    'BAD_RECORD',
    `job ${job.name} must not meet a bad record (deadLetters: fail); ${topic} has one at partition ${partition}, offset ${offset}: ` +
      `${message} (${code}): mend or skip the record, or let the job write dead letters`,
    { fields: { job: job.name, topic, partition, offset } },
  );
}
