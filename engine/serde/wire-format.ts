/**
 * Confluent's framing of messages whose schema is in a registry: a zero byte, the schema's id in four bytes, big-endian, then the record
 * (Schema Registry documentation, "Wire format").
 */
export const FRAME_BYTES = 5;

/** What {@link framedSchemaId} says of a message that is not framed. */
export const NOT_FRAMED = -1;

/** The id of the schema that the message in `data[start, end)` was written with, or {@link NOT_FRAMED}. */
export function framedSchemaId(data: Uint8Array, start: number, end: number): number {
  if (end - start < FRAME_BYTES || data[start] !== 0) return NOT_FRAMED;
  const id =
    ((data[start + 1] ?? 0) << 24) |
    ((data[start + 2] ?? 0) << 16) |
    ((data[start + 3] ?? 0) << 8) |
    (data[start + 4] ?? 0);
  return id < 0 ? NOT_FRAMED : id;
}

/** Writes the frame of a message from `at` on, and gives the position after it. */
export function writeFrame(out: Uint8Array, at: number, schemaId: number): number {
  out[at] = 0;
  out[at + 1] = schemaId >>> 24;
  out[at + 2] = schemaId >>> 16;
  out[at + 3] = schemaId >>> 8;
  out[at + 4] = schemaId;
  return at + FRAME_BYTES;
}
