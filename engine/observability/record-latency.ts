import type { MessageBatch } from '../record/message-batch.ts';
import type { LatencyHistogram } from './latency-histogram.ts';

/**
 * Counts, for each message of a batch that has just been committed, how long ago the log took it. Messages that were appended together share a timestamp, so runs of one are counted at once.
 *
 * @param messages `null` for a batch of records, which have no broker's timestamps.
 */
export function recordLatency(histogram: LatencyHistogram, nowMs: number, messages: MessageBatch | null): void {
  const timestampsMs = messages?.timestampsMs ?? new Float64Array(0);
  let runStart = 0;
  for (let i = 1; i <= timestampsMs.length; i++) {
    if (i < timestampsMs.length && timestampsMs[i] === timestampsMs[runStart]) continue;
    histogram.record(nowMs - (timestampsMs[runStart] ?? nowMs), i - runStart);
    runStart = i;
  }
}
