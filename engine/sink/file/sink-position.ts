import { SluiceError } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

/** How far a file sink has come: so many bytes of the file hold everything below these offsets. Kept beside the file, as JSON. */
export interface SinkPosition {
  readonly version: 1;
  readonly sizeBytes: number;
  /** By topic, then partition: the next offset. */
  readonly next: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** Nothing written yet. */
export const emptyPosition: SinkPosition = { version: 1, sizeBytes: 0, next: {} };

/** The offset below which everything of that partition is in the file. */
export function nextOffset(position: SinkPosition, topic: string, partition: number): number {
  return position.next[topic]?.[partition] ?? 0;
}

/** The position after the batch was written, with the file at that size. */
export function advanced(position: SinkPosition, messages: MessageBatch, sizeBytes: number): SinkPosition {
  const partitions = { ...position.next[messages.topic] };
  for (let i = 0; i < messages.messageCount; i++) {
    const partition = messages.partitions[i] ?? 0;
    partitions[partition] = Math.max(partitions[partition] ?? 0, (messages.offsets[i] ?? 0) + 1);
  }
  return { version: 1, sizeBytes, next: { ...position.next, [messages.topic]: partitions } };
}

/** @throws {SluiceError} `SINK_POSITION_INVALID` when the text is no position. */
export function parsePosition(text: string, path: string): SinkPosition {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    parsed = null;
  }
  if (isPosition(parsed)) return parsed;
  throw new SluiceError(
    'SINK_POSITION_INVALID',
    `file ${path} must hold the position of the sink beside it; got something else: move both files away to start over`,
    { fields: { file: path } },
  );
}

function isPosition(value: unknown): value is SinkPosition {
  if (typeof value !== 'object' || value === null) return false;
  if (!('version' in value) || value.version !== 1) return false;
  if (!('sizeBytes' in value) || !Number.isSafeInteger(value.sizeBytes)) return false;
  return 'next' in value && typeof value.next === 'object' && value.next !== null;
}
