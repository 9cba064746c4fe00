import { strict as assert } from 'node:assert';
import type { ByteSlab } from '../record/column.ts';

/**
 * Chooses the partition of message `index`, whose key is in `keys`, and whose record came from `inputPartition`. Called by encoders, once
 * a message; a function of its arguments alone, so that a replay sends each message to the same place.
 */
export type Partitioner = (keys: ByteSlab, index: number, inputPartition: number) => number;

/**
 * Kafka's default for records with keys: murmur2 of the key's bytes, its sign bit cleared, modulo the number of partitions. Embedded topics and
 * exchanges use it too, so that a key is in the same partition wherever the topic lives. (Kafka's `BuiltInPartitioner.partitionForKey`; librdkafka
 * calls it `murmur2_random`.)
 *
 * A message without a key goes to `inputPartition` modulo the count: Kafka would take any partition, which a replay could not repeat.
 */
export function keyPartitioner(partitionCount: number): Partitioner {
  assert(Number.isInteger(partitionCount) && partitionCount > 0, 'a topic has at least one partition');
  return (keys, index, inputPartition) => {
    const start = keys.offsets[index] ?? 0;
    const end = keys.offsets[index + 1] ?? 0;
    if (start === end) return inputPartition % partitionCount;
    return (murmur2(keys.data, start, end) & 0x7fffffff) % partitionCount;
  };
}

/** Each message to the partition its record came from: for outputs that are co-partitioned with the input, such as predictions. */
export function inputPartitioner(): Partitioner {
  return (_keys, _index, inputPartition) => inputPartition;
}

/** The 32-bit murmur2 hash of `data[start, end)` with Kafka's seed, as Java's signed int (`org.apache.kafka.common.utils.Utils.murmur2`). */
export function murmur2(data: Uint8Array, start: number, end: number): number {
  const multiplier = 0x5bd1e995;
  let hash = 0x9747b28c ^ (end - start);
  let at = start;
  for (; at + 4 <= end; at += 4) {
    const word =
      (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16) | ((data[at + 3] ?? 0) << 24);
    const mixed = Math.imul(word, multiplier);
    hash = Math.imul(hash, multiplier) ^ Math.imul(mixed ^ (mixed >>> 24), multiplier);
  }
  const rest = end - at;
  if (rest > 0) {
    if (rest === 3) hash ^= (data[at + 2] ?? 0) << 16;
    if (rest >= 2) hash ^= (data[at + 1] ?? 0) << 8;
    hash = Math.imul(hash ^ (data[at] ?? 0), multiplier);
  }
  hash = Math.imul(hash ^ (hash >>> 13), multiplier);
  return hash ^ (hash >>> 15);
}
