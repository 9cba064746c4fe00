import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { utf8ColumnOf } from '../record/column.ts';
import { inputPartitioner, keyPartitioner, murmur2 } from './partitioner.ts';

function hashOf(text: string): number {
  const bytes = new TextEncoder().encode(text);
  return murmur2(bytes, 0, bytes.length);
}

/** The published algorithm in 64-bit arithmetic, a byte at a time, as a twin of the unrolled one. */
function naiveMurmur2(data: Uint8Array): number {
  const mask = 0xffffffffn;
  const m = 0x5bd1e995n;
  let h = (0x9747b28cn ^ BigInt(data.length)) & mask;
  const words = Math.floor(data.length / 4);
  for (let w = 0; w < words; w++) {
    let k = 0n;
    for (let b = 3; b >= 0; b--) k = (k << 8n) | BigInt(data[w * 4 + b] ?? 0);
    k = (k * m) & mask;
    k ^= k >> 24n;
    k = (k * m) & mask;
    h = ((h * m) & mask) ^ k;
  }
  const tail = data.subarray(words * 4);
  if (tail.length > 0) {
    for (let b = tail.length - 1; b >= 0; b--) h ^= BigInt(tail[b] ?? 0) << BigInt(8 * b);
    h = (h * m) & mask;
  }
  h ^= h >> 13n;
  h = (h * m) & mask;
  h ^= h >> 15n;
  return Number(BigInt.asIntN(32, h));
}

describe('murmur2', () => {
  // The vectors of Kafka's own UtilsTest.testMurmur2, and of Akka's Murmur2Spec for keys of each length modulo four.
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
    ['1', -1993445489],
    ['12', 126087238],
    ['123', -267702483],
    ['1234', -1614185708],
    ['12345', -1188365604],
  ])('gives for %s what Kafka gives', (text, hash) => {
    expect(hashOf(text)).toBe(hash);
  });

  it('agrees with 64-bit arithmetic on any bytes at any place in a slab', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 70 }), fc.nat(9), (key, before) => {
        const slab = new Uint8Array(before + key.length + 3).fill(0xa5);
        slab.set(key, before);
        expect(murmur2(slab, before, before + key.length)).toBe(naiveMurmur2(key));
      }),
    );
  });
});

describe('keyPartitioner', () => {
  it('clears the sign bit rather than negating, as Kafka does', () => {
    const keys = utf8ColumnOf(['21', 'foobar']);
    const partitioner = keyPartitioner(7);
    expect(partitioner(keys, 0, 0)).toBe((-973932308 & 0x7fffffff) % 7);
    expect(partitioner(keys, 1, 0)).toBe((-790332482 & 0x7fffffff) % 7);
  });

  it('keeps a message without a key in the partition its record came from', () => {
    expect(keyPartitioner(4)(utf8ColumnOf(['']), 0, 6)).toBe(2);
  });
});

describe('inputPartitioner', () => {
  it('follows the input whatever the key', () => {
    expect(inputPartitioner()(utf8ColumnOf(['21']), 0, 5)).toBe(5);
  });
});
