import { lastValueFrom, of } from 'rxjs';
import { SluiceError } from '../../engine/error.ts';
import { runSection } from '../../engine/execution/section.ts';
import type { DeadLetter } from '../../engine/record/dead-letter.ts';
import type { RecordBatch } from '../../engine/record/record-batch.ts';
import type { Source } from '../../engine/source/source.ts';
import type { StateReader } from '../../engine/state/state-store.ts';
import { PartitionWatermarks } from '../../engine/time/partition-watermarks.ts';
import { stampWatermarks, type WatermarkRule } from '../../engine/time/stamp-watermarks.ts';
import type { FeaturePlan } from '../../features/feature-plan.ts';
import { featureSection, type Duplicates } from './feature-section.ts';

/** Records of one batch; large, since nobody waits for the first of them. */
const replayBatchRecords = 4_096;

/** What is replayed, and how records become features. */
export interface FeatureReplay {
  readonly plan: FeaturePlan;
  readonly duplicates: Duplicates | null;
  readonly watermark: WatermarkRule;
  /** A bounded source of records; disposed of at the end. */
  readonly source: Source;
}

/** A batch with its features, and the records of the same poll that could not be read. */
export interface ReplayedBatch {
  readonly records: RecordBatch;
  readonly deadLetters: readonly DeadLetter[];
}

/** No state from before: a replay begins with the file. */
const noState: StateReader = {
  getMany: (_operatorId, keys) => Promise.resolve(keys.map(() => null)),
  async *scan() {},
};

/**
 * Runs a job's features over a file as fast as it can, through the very operators that the stream runs: for training sets, for parity with expected
 * values, for backtests. Nothing is committed, nothing scored.
 *
 * @throws {SluiceError} what the source throws; `REPLAY_UNBOUNDED` for a source that gives undecoded messages.
 */
export async function* replayFeatures(replay: FeatureReplay, signal?: AbortSignal): AsyncGenerator<ReplayedBatch> {
  const { plan, duplicates, watermark, source } = replay;
  const watermarks = new PartitionWatermarks();
  const section = featureSection(plan, duplicates, { state: 'empty', watermarks }, noState);
  const operator = runSection(section);
  try {
    const ranges = await source.ranges();
    await source.seek(ranges.map(({ partition, startOffset }) => ({ partition, offset: startOffset })));
    for (;;) {
      signal?.throwIfAborted();
      const polled = await source.poll({ maxRecords: replayBatchRecords, maxWaitMs: 1_000 });
      if (polled === 'end') return;
      if (polled === null) continue;
      if (polled.kind === 'messages') {
        throw new SluiceError('REPLAY_UNBOUNDED', `a replay must read a file of records; got ${source.name}`);
      }
      stampWatermarks(polled.records, null, watermarks, watermark);
      const { records } = await lastValueFrom(of(polled.records).pipe(operator));
      for (const logic of section.logics) logic.dropChanges();
      yield { records, deadLetters: polled.deadLetters };
    }
  } finally {
    await source[Symbol.asyncDispose]();
  }
}
