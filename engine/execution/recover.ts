import { strict as assert } from 'node:assert';
import { lastValueFrom, of } from 'rxjs';
import { SluiceError } from '../error.ts';
import { PartitionWatermarks } from '../time/partition-watermarks.ts';
import { stampWatermarks } from '../time/stamp-watermarks.ts';
import type { Acquired, OffsetRange } from './commit-log.ts';
import type { QueryDefinition } from './query-definition.ts';
import type { RecordBatch } from '../record/record-batch.ts';
import { sliceMessages, type MessageBatch } from '../record/message-batch.ts';
import { decodeParts } from './decode-parts.ts';
import { idleBatch, idlePartitions } from './idle-batch.ts';
import { runSection, type Section } from './section.ts';

/** A task ready to go live. */
export interface Recovered {
  readonly section: Section;
  readonly watermarks: PartitionWatermarks;
  /** The next offset of each partition. */
  readonly nextOffsets: Map<number, number>;
  readonly nextBatchSequence: number;
  /** How many records were replayed in silence. */
  readonly replayedRecords: number;
}

/**
 * Brings an acquired task to where it was committed (exactly-once, "Acquire", steps 5 and 6): checks that the log still reaches back to the
 * state, builds the operators over the stored state S, and replays `[S, C)` through them, in the order as it was written, which says where partitions were found idle, too. Nothing is emitted:
 * scores, outputs and dead letters of that range are already committed.
 *
 * @throws {SluiceError} `LOG_TRUNCATED` when records between S and C are gone.
 */
export async function recover(query: QueryDefinition, acquired: Acquired, signal: AbortSignal): Promise<Recovered> {
  const ranges = await query.source.ranges();
  const watermarks = new PartitionWatermarks(acquired.stateMetadata?.watermarksMs ?? []);
  const nextOffsets = new Map(ranges.map(({ partition, startOffset }) => [partition, startOffset]));
  for (const { partition, offset } of acquired.stateAt) {
    const range = ranges.find((candidate) => candidate.partition === partition);
    if (range === undefined || offset < range.startOffset || offset > range.endOffset) {
      throw truncated(query, partition, offset, range);
    }
    nextOffsets.set(partition, offset);
  }
  const section = query.openSection(
    {
      state: acquired.stateMetadata === null ? 'empty' : 'stored',
      watermarks,
      workingSetBytes: query.bounds.workingSetBytes,
    },
    query.commitLog.state,
  );
  let replayedRecords = 0;
  for (const plan of acquired.replay) {
    for (const range of plan) {
      assert(nextOffsets.get(range.partition) === range.from, 'the replay plan follows the state without a gap');
      if (range.idleForMs !== undefined) {
        // A clock said so once; for a query that needs no such thing it is of no matter.
        if (query.idle !== undefined)
          await lastValueFrom(
            of(idleBatch(query.idle.schema, idlePartitions([range], watermarks))).pipe(runSection(section)),
          );
        continue;
      }
      replayedRecords += await replayRange(query, section, range, watermarks, signal);
      nextOffsets.set(range.partition, range.to);
    }
  }
  for (const { partition, offset } of acquired.committed) {
    assert(nextOffsets.get(partition) === offset, 'the replay plan ends at the committed offset');
  }
  const nextBatchSequence = (acquired.metadata?.batchSequence ?? -1) + 1;
  return { section, watermarks, nextOffsets, nextBatchSequence, replayedRecords };
}

async function replayRange(
  query: QueryDefinition,
  section: Section,
  { partition, from, to }: OffsetRange,
  watermarks: PartitionWatermarks,
  signal: AbortSignal,
): Promise<number> {
  const { source, watermark, bounds } = query;
  await source.seek([{ partition, offset: from }]);
  let next = from;
  while (next < to) {
    signal.throwIfAborted();
    const maxRecords = Math.min(bounds.maxBatchRecords, to - next);
    const polled = await source.poll({ maxRecords, maxWaitMs: bounds.maxPollWaitMs, signal });
    // The log was seen to reach beyond `to`, so an empty poll is a slow broker, or a gap of control records at the end of the range.
    if (polled === null || polled === 'end') {
      const range = (await source.ranges()).find((candidate) => candidate.partition === partition);
      if (range === undefined || range.startOffset > next || range.endOffset < to)
        throw truncated(query, partition, next, range);
      if (polled === 'end') break;
      continue;
    }
    const apply = async (records: RecordBatch, messages: MessageBatch | null): Promise<void> => {
      stampWatermarks(records, messages, watermarks, watermark);
      await lastValueFrom(of(records).pipe(runSection(section)));
    };
    if (polled.kind === 'messages') {
      assert(query.decoder !== null, 'a source of messages needs a decoder');
      const messages = messagesBelow(to, polled.messages);
      if (messages.messageCount === 0) break;
      const preparing = query.decoder.prepare(messages);
      if (preparing !== null) await preparing;
      for (const part of decodeParts(query.decoder, messages)) await apply(part.records, part.messages);
      next = (messages.offsets[messages.messageCount - 1] ?? next) + 1;
    } else {
      const { records } = polled;
      const lastDead = polled.deadLetters.at(-1)?.offset ?? -1;
      next = Math.max(lastDead, records.offsets[records.rowCount - 1] ?? -1) + 1;
      await apply(records, null);
    }
  }
  return to - from;
}

/**
 * The messages of one partition below an offset. Where offsets have holes (control records of transactions), a poll of as many records as there are offsets left
 * reads on behind the range, into what has not been processed yet.
 */
function messagesBelow(to: number, messages: MessageBatch): MessageBatch {
  let count = messages.messageCount;
  while (count > 0 && (messages.offsets[count - 1] ?? 0) >= to) count--;
  return count === messages.messageCount ? messages : sliceMessages(messages, 0, count);
}

function truncated(
  query: QueryDefinition,
  partition: number,
  offset: number,
  range: { readonly startOffset: number; readonly endOffset: number } | undefined,
): SluiceError {
  const has =
    range === undefined ? 'has no such partition' : `holds offsets ${range.startOffset} to ${range.endOffset}`;
  return new SluiceError(
    'LOG_TRUNCATED',
    `${query.source.name} must still hold partition ${partition} from offset ${offset}, where the state of job ${query.name} stands; it ${has}: ` +
      `keep records longer than the state's flush interval, or rebuild the state from what the log holds`,
    { fields: { job: query.name, partition, offset } },
  );
}
