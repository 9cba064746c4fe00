import type { ByteSlab } from '../../engine/record/column.ts';

/**
 * The ids of `count` cards or terminals in one slab: the prefix and the number, padded with zeros to five digits or as many as the largest
 * takes, so that all have one length and sort by number (`card-00042`).
 */
export function entityIds(prefix: string, count: number): ByteSlab {
  const digits = Math.max(5, String(count - 1).length);
  const sizeBytes = prefix.length + digits;
  const data = Buffer.alloc(count * sizeBytes);
  const offsets = new Int32Array(count + 1);
  for (let i = 0; i < count; i++) {
    data.write(prefix + String(i).padStart(digits, '0'), i * sizeBytes, 'latin1');
    offsets[i + 1] = (i + 1) * sizeBytes;
  }
  return { data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offsets };
}
