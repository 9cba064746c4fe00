import { strict as assert } from 'node:assert';
import { lastValueFrom, of } from 'rxjs';
import { runSection } from '../../engine/execution/section.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { MessageBatch } from '../../engine/record/message-batch.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Decoder } from '../../engine/serde/decoder.ts';
import type { Polled, Source } from '../../engine/source/source.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks } from '../../engine/time/stamp-watermarks.ts';
import type { CheckedJob } from '../checked-job.ts';
import { featureSection, jobSection } from './sections/feature-section.ts';

/** Records of one batch; large, since nobody waits for the first of them. */
const replayBatchRecords = 4_096;
const pollWaitMs = 1_000;

/** A batch with its features, and the records of the same poll that could not be read. */
export interface ReplayedBatch {
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** Where a replay reads: a file, a topic's log, a simulated stream. */
export interface ReplayInput {
  /** Read from its beginning to what is its end when the replay starts; disposed of then. */
  readonly source: Source;
  /** `null` where the source gives records. */
  readonly decoder: Decoder | null;
}

/** No state from before: a replay begins with the log. */
const noState: StateReader = {
  getMany: (_operatorId, keys) => Promise.resolve(keys.map(() => null)),
  async *scan() {},
};

/**
 * Runs a job's features over the past as fast as it can, through the very operators that the stream runs: for training sets, for parity with expected
 * values, for backtests. Nothing is committed, nothing scored.
 *
 * @throws {SluiceError} what the source throws.
 */
export async function* replayFeatures(
  job: CheckedJob,
  { source, decoder }: ReplayInput,
  signal?: AbortSignal,
): AsyncGenerator<ReplayedBatch> {
  const { eventTime } = job.source;
  const rule = { delayMs: eventTime.delayMs, maxFutureSkewMs: eventTime.maxFutureSkewMs };
  const watermarks = new PartitionWatermarks();
  const section = featureSection(jobSection(job), { state: 'empty', watermarks }, noState);
  const operator = runSection(section);
  try {
    for await (const polled of readToEnd(source, signal)) {
      const { records: decoded, deadLetters, messages } = await decode(polled, decoder);
      stampWatermarks(decoded, messages, watermarks, rule);
      const { records } = await lastValueFrom(of(decoded).pipe(operator));
      for (const logic of section.logics) logic.dropChanges();
      yield { records, deadLetters };
    }
  } finally {
    await source[Symbol.asyncDispose]();
  }
}

async function* readToEnd(source: Source, signal: AbortSignal | undefined): AsyncGenerator<Polled> {
  const ranges = await source.ranges();
  await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
  const toGo = new Map(ranges.map(({ partition, startOffset, endOffset }) => [partition, { startOffset, endOffset }]));
  for (const [partition, { startOffset, endOffset }] of toGo) if (startOffset === endOffset) toGo.delete(partition);
  while (toGo.size > 0) {
    signal?.throwIfAborted();
    const polled = await source.poll({ maxRecords: replayBatchRecords, maxWaitMs: pollWaitMs });
    if (polled === 'end') return;
    if (polled === null) continue;
    yield polled;
    if (polled.kind === 'records') continue;
    const { partitions, offsets, messageCount } = polled.messages;
    for (let i = 0; i < messageCount; i++) {
      const partition = partitions[i] ?? 0;
      if ((offsets[i] ?? 0) + 1 >= (toGo.get(partition)?.endOffset ?? Infinity)) toGo.delete(partition);
    }
  }
}

interface DecodedPoll extends ReplayedBatch {
  readonly messages: MessageBatch | null;
}

async function decode(polled: Polled, decoder: Decoder | null): Promise<DecodedPoll> {
  if (polled.kind === 'records') return { ...polled, messages: null };
  assert(decoder !== null, 'a source of messages needs a decoder');
  const { messages } = polled;
  const preparing = decoder.prepare(messages);
  if (preparing !== null) await preparing;
  return { ...decoder.decode(messages), messages };
}
