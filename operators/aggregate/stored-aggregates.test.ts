import { describe, expect, it } from 'vitest';
import { aggregatorOf, type AggregateSpec } from './aggregate-spec.ts';
import { StateBytes, StateWriter, type AggregateValue } from './state-bytes.ts';
import { hashValue } from './value-hash.ts';

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

function stored(spec: AggregateSpec, values: readonly AggregateValue[]): Uint8Array {
  const aggregator = aggregatorOf(spec);
  const state = aggregator.create();
  values.forEach((value, i) => aggregator.update(state, value, { eventTimeMs: 100 - i, partition: 2, offset: 7 + i }));
  const writer = new StateWriter();
  aggregator.encode(state, writer);
  return writer.take();
}

/** What an earlier version has stored for 3, −2, 3 and 0.1, each at an earlier time than the one before, and what it answered. */
const written: readonly (readonly [AggregateSpec, string, AggregateValue])[] = [
  [{ function: 'count' }, '0000000000001040', 4],
  [{ function: 'sum' }, '000000000000104002000000000000ba3c6666666666661040', 4.1],
  [{ function: 'avg' }, '000000000000104002000000000000ba3c6666666666661040', 1.025],
  [{ function: 'min' }, '00000000000000c0', -2],
  [{ function: 'max' }, '0000000000000840', 3],
  [
    { function: 'stddev' },
    '000000000000104002000000000000ba3c6666666666661040030000000000806439a4703d0ad723dcbcc3f5285c8f023640',
    2.43635656941535,
  ],
  [
    { function: 'variance' },
    '000000000000104002000000000000ba3c6666666666661040030000000000806439a4703d0ad723dcbcc3f5285c8f023640',
    5.935833333333334,
  ],
  [{ function: 'first' }, '01009a9999999999b93f0000000000405840020000000000000000002440', 0.1],
  [{ function: 'last' }, '010000000000000008400000000000005940020000000000000000001c40', 3],
  [{ function: 'distinct' }, '030000000000000000000000c0009a9999999999b93f000000000000000840', 3],
  [{ function: 'approxDistinct', error: 0.05 }, '00030000001b00000003f900000002a601000003', 3],
  [
    { function: 'quantile', q: 0.75, error: 0.02 },
    '000000000000000002000000c7ffffff000000000000f03f1c00000000000000000000400100000012000000000000000000f03f',
    3.0040057916099494,
  ],
  [
    { function: 'topK', k: 2, capacity: 200 },
    '03000000000000000000000840000000000000004000000000000000000000000000000000c0000000000000f03f0000000000000000' +
      '009a9999999999b93f000000000000f03f0000000000000000',
    '[{"value":3,"count":2,"error":0},{"value":-2,"count":1,"error":0}]',
  ],
  [
    { function: 'histogram', boundaries: [0, 10] },
    '000000000000f03f00000000000008400000000000000000',
    '{"boundaries":[0,10],"counts":[1,3,0]}',
  ],
  [
    { function: 'collect', limit: 3 },
    '03000000009a9999999999b93f000000000040584002000000000000000000244000000000000000084000000000008058400200000000' +
      '000000000022400000000000000000c00000000000c05840020000000000000000002040',
    '[0.1,3,-2]',
  ],
];

describe('the stored state of an aggregate', () => {
  it.each(written)('is what other versions have written: %o', (spec, hex) => {
    expect(hexOf(stored(spec, [3, -2, 3, 0.1]))).toBe(hex);
  });

  it.each(written)('is read as it was written: %o', (spec, hex, answer) => {
    const aggregator = aggregatorOf(spec);
    const bytes = new StateBytes(Buffer.from(hex, 'hex'));
    expect(aggregator.finish(aggregator.decode(bytes))).toBe(answer);
    expect(bytes.isAtEnd).toBe(true);
  });

  it.each(written)('of no values answers nothing, but for the count of them: %o', (spec) => {
    const aggregator = aggregatorOf(spec);
    const empty = new StateBytes(stored(spec, []));
    expect(aggregator.finish(aggregator.decode(empty))).toBe(spec.function === 'count' ? 0 : null);
    expect(empty.isAtEnd).toBe(true);
  });

  it('holds the registers of an approximate distinct one by one up to an eighth of them, and all of them beyond', () => {
    const sizeOf = (values: number): number =>
      stored(
        { function: 'approxDistinct', error: 0.3 },
        Array.from({ length: values }, (_, i) => i * 1.5),
      ).length;
    // 16 registers: two of them are written one by one, a third one makes an array of them all.
    expect([1, 2, 300].map(sizeOf)).toEqual([10, 15, 17]);
    expect(
      stored(
        { function: 'approxDistinct', error: 0.3 },
        Array.from({ length: 300 }, (_, i) => i),
      )[0],
    ).toBe(1);
  });
});

describe('the hash of a value', () => {
  it.each([
    [0, 0xcaf5fbb0, 0xa77a2bea],
    [-0, 0xcaf5fbb0, 0xa77a2bea],
    [1, 0x730f902a, 0xd8e0ab21],
    [1.5, 0x558761c1, 0xdb0f80a4],
    [-1, 0x9f560e2b, 0x0a85e65f],
    [1e300, 0xcda5a906, 0x18bca241],
    ['', 0xd0090a11, 0xb549809d],
    ['a', 0x95b22d35, 0x881b4838],
    ['ab', 0x7da4e1e3, 0x901c97ac],
    ['1', 0xab771aa4, 0xb749ff86],
    ['é€😀', 0x28091ab3, 0x36a0bf67],
    ['card-17', 0xf382e72b, 0x00ebb930],
  ])('stands in stored sketches, and is what it was: %j', (value, high, low) => {
    const hash = { high: 1, low: 1 };
    hashValue(value, hash);
    expect(hash).toEqual({ high, low });
  });
});
