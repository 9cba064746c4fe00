import { sliceMessages, type MessageBatch } from '../record/message-batch.ts';
import { IDLE, selectRows, type IdlePartition, type RecordBatch } from '../record/record-batch.ts';
import type { Decoded, Decoder } from '../serde/decoder.ts';

/** A part of a batch that goes through the operators by itself. */
export interface DecodedPart extends Decoded {
  readonly messages: MessageBatch;
}

/**
 * Decodes a prepared batch: whole, or, where messages of an exchange tell that a writer is idle, in parts, each with that before its first row (`RecordBatch.idle`). Called by the batch loop and by replays
 * alike; as any cut into batches, it changes no answer.
 */
export function* decodeParts(decoder: Decoder, messages: MessageBatch): Generator<DecodedPart> {
  let rest = messages;
  for (;;) {
    const decoded = decoder.decode(rest);
    const { leading, next } = idleMarksOf(decoded.records);
    if (next === null) {
      yield { messages: rest, deadLetters: decoded.deadLetters, records: withIdle(decoded.records, leading) };
      return;
    }
    // Seldom: somebody has gone quiet, or a clock has moved on.
    const cut = messageOf(next, decoded, rest);
    const part = sliceMessages(rest, 0, cut);
    const { records, deadLetters } = decoder.decode(part);
    yield { messages: part, deadLetters, records: withIdle(records, leading) };
    rest = sliceMessages(rest, cut, rest.messageCount);
  }
}

/** Where a batch tells of idle writers: how many of its first rows do, and the next row that does behind others; `null` for none. */
function idleMarksOf({ flags, rowCount }: RecordBatch): { readonly leading: number; readonly next: number | null } {
  const isIdle = (row: number): boolean => ((flags[row] ?? 0) & IDLE) !== 0;
  let leading = 0;
  while (leading < rowCount && isIdle(leading)) leading++;
  for (let row = leading; row < rowCount; row++) if (isIdle(row)) return { leading, next: row };
  return { leading, next: null };
}

/** A batch whose first rows are no rows, but say that their writers are idle, in the order in which they were found to be. */
function withIdle(records: RecordBatch, leading: number): RecordBatch {
  if (leading === 0) return records;
  const { partitions, offsets, watermarksMs, rowCount } = records;
  const idle = Array.from({ length: leading }, (_, row): IdlePartition => ({
    partition: partitions[row] ?? 0,
    offset: offsets[row] ?? -1,
    watermarkMs: watermarksMs[row] ?? -Infinity,
  }));
  return {
    ...selectRows(
      records,
      Int32Array.from({ length: rowCount - leading }, (_, row) => leading + row),
    ),
    idle,
  };
}

/** The number of a row's message: rows are the messages that are no dead letters, in order. */
function messageOf(row: number, { deadLetters }: Decoded, messages: MessageBatch): number {
  const dead = new Set(deadLetters.map(({ partition, offset }) => `${partition}/${offset}`));
  let rows = 0;
  for (let message = 0; message < messages.messageCount; message++) {
    if (dead.has(`${messages.partitions[message]}/${messages.offsets[message]}`)) continue;
    if (rows === row) return message;
    rows++;
  }
  return messages.messageCount;
}
