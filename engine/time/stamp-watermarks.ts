import { strict as assert } from 'node:assert';
import type { MessageBatch } from '../record/message-batch.ts';
import { GUARDED, type RecordBatch } from '../record/record-batch.ts';
import type { HoldRule, PartitionWatermarks } from './partition-watermarks.ts';

/** How a task knows its watermark: from its records' event times, or from those who wrote them. */
export type WatermarkRule = EventTimeRule | InputsRule | CarriedRule;

/** How a job's event time becomes its watermark. */
export interface EventTimeRule {
  /** How far out of order records are expected: `W_p = max(event time seen in p) − delayMs`. */
  readonly delayMs: number;
  /** A record this far ahead of its broker timestamp is processed, and counted, but does not move the watermark (the future guard). */
  readonly maxFutureSkewMs: number;
}

/** A rule for each of several inputs, whose partitions are numbered in turn: partition `p` is of input `p % inputs.length` (`engine/source/merged`). */
export interface InputsRule {
  readonly inputs: readonly EventTimeRule[];
}

/** Records come with the watermark of the task that wrote them, under whose number they stand as their partition (ADR 0031). */
export interface CarriedRule {
  readonly carried: HoldRule;
}

/**
 * Stamps each record with its partition's watermark as it stands before it, and moves the watermark past it: ③ on a record's way. What the future guard holds
 * is flagged, so that operators know of each record where the watermark stands after it. Called once a batch, in arrival order, right after decoding; `watermarks` lives as long as the task.
 *
 * Where watermarks are carried, a record keeps the one that it came with, raised to what state may have been evicted up to: that differs only where its
 * writer is further behind the others than the rule allows.
 *
 * @param messages the undecoded batch that the records come from, for its broker timestamps; `null` where the source has none, which leaves the future guard out.
 * @returns how many records the future guard held.
 */
export function stampWatermarks(
  records: RecordBatch,
  messages: MessageBatch | null,
  watermarks: PartitionWatermarks,
  rule: WatermarkRule,
): number {
  if ('carried' in rule) return stampCarried(records, watermarks, rule.carried);
  let guarded = 0;
  let message = 0;
  for (let row = 0; row < records.rowCount; row++) {
    const partition = records.partitions[row] ?? 0;
    const eventTimeMs = records.eventTimesMs[row] ?? 0;
    records.watermarksMs[row] = watermarks.of(partition);
    const { delayMs, maxFutureSkewMs } = 'inputs' in rule ? inputRule(rule, partition) : rule;
    let timestampMs = Infinity;
    if (messages !== null) {
      // Records are a subsequence of their messages, so one walk finds each record's.
      while (messages.partitions[message] !== partition || messages.offsets[message] !== records.offsets[row])
        message++;
      timestampMs = messages.timestampsMs[message] ?? Infinity;
    }
    if (eventTimeMs > timestampMs + maxFutureSkewMs) {
      guarded++;
      records.flags[row] = (records.flags[row] ?? 0) | GUARDED;
    } else watermarks.advance(partition, eventTimeMs - delayMs);
  }
  return guarded;
}

function inputRule({ inputs }: InputsRule, partition: number): EventTimeRule {
  const rule = inputs[partition % inputs.length];
  assert(rule !== undefined, 'there is a rule for each input');
  return rule;
}

/** The future guard was applied by whoever read the records first. */
function stampCarried(records: RecordBatch, watermarks: PartitionWatermarks, hold: HoldRule): number {
  let floorMs = watermarks.minimumMs(hold);
  for (let row = 0; row < records.rowCount; row++) {
    const writer = records.partitions[row] ?? 0;
    const carriedMs = records.watermarksMs[row] ?? -Infinity;
    const beforeMs = watermarks.of(writer);
    watermarks.advance(writer, carriedMs);
    if (carriedMs > beforeMs) floorMs = watermarks.minimumMs(hold);
    records.watermarksMs[row] = Math.max(carriedMs, floorMs);
  }
  return 0;
}
