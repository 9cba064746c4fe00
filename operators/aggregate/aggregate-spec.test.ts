import { describe, expect, it } from 'vitest';
import type { FieldType } from '../../engine/record/schema.ts';
import { aggregatorOf, answerType, inputTypes, isStructured, type AggregateSpec } from './aggregate-spec.ts';

const numbers: readonly FieldType[] = ['double', 'long', 'boolean'];
const ordered: readonly FieldType[] = [...numbers, 'timestamp'];
const any: readonly FieldType[] = [...ordered, 'string'];
const exact = { memory: 'bounded', accuracy: 'exact' } as const;
const reversible = { reversal: 'reversible', memory: 'bounded' } as const;
const irreversible = { reversal: 'irreversible', memory: 'bounded' } as const;
const oneSum = { ...reversible, stateSize: 'usually 17 to 33 bytes, at most 329' };
const twoSums = {
  ...reversible,
  stateSize: 'usually 34 to 60 bytes, at most 650',
  accuracy: 'within 2 units in the last place',
};
const placed = { ...irreversible, ...exact, stateSize: '30 bytes, or 26 and the text' };

/** What a plan knows of each function: the columns it takes, its answers' type for a column of instants, and what `explain` shows. */
const known: readonly (readonly [AggregateSpec, readonly FieldType[], FieldType, object])[] = [
  [{ function: 'count' }, any, 'long', { ...reversible, ...exact, stateSize: '8 bytes' }],
  [{ function: 'sum' }, numbers, 'double', { ...oneSum, accuracy: 'exact, rounded once' }],
  [{ function: 'avg' }, numbers, 'double', { ...oneSum, accuracy: 'within 1 unit in the last place' }],
  [{ function: 'stddev' }, numbers, 'double', twoSums],
  [{ function: 'variance' }, numbers, 'double', twoSums],
  [{ function: 'min' }, ordered, 'timestamp', { ...irreversible, ...exact, stateSize: '8 bytes' }],
  [{ function: 'max' }, ordered, 'timestamp', { ...irreversible, ...exact, stateSize: '8 bytes' }],
  [{ function: 'first' }, any, 'timestamp', placed],
  [{ function: 'last' }, any, 'timestamp', placed],
  [
    { function: 'distinct' },
    any,
    'long',
    {
      reversal: 'irreversible',
      memory: 'unbounded',
      stateSize: '9 bytes, or 5 and the text, for each different value',
      accuracy: 'exact',
    },
  ],
  [
    { function: 'approxDistinct', error: 0.05 },
    any,
    'long',
    { ...irreversible, stateSize: 'at most 513 bytes', accuracy: 'standard error 4.60 %' },
  ],
  [
    { function: 'quantile', q: 0.5, error: 0.02 },
    numbers,
    'double',
    {
      ...irreversible,
      stateSize: '12 bytes a bucket, at most 48 KiB',
      accuracy: 'relative error at most 2 %',
    },
  ],
  [
    { function: 'topK', k: 3, capacity: 200 },
    any,
    'string',
    {
      ...irreversible,
      stateSize: '25 bytes, or 21 and the text, for each of at most 200 values',
      accuracy: 'exact for up to 200 different values; beyond, each count says by how much it may be too high',
    },
  ],
  [
    { function: 'histogram', boundaries: [0, 10] },
    numbers,
    'string',
    { ...reversible, ...exact, stateSize: '24 bytes' },
  ],
  [
    { function: 'collect', limit: 5 },
    any,
    'string',
    {
      ...irreversible,
      stateSize: '29 bytes, or 25 and the text, for each of at most 5 values',
      accuracy: 'exact for the earliest 5 values',
    },
  ],
];

describe.each(known)('what a plan knows of %o', (spec, inputs, answer, traits) => {
  it('is which columns it takes, what type its answers have, and what its state costs', () => {
    expect(inputTypes(spec.function)).toEqual(inputs);
    expect(answerType(spec.function, 'timestamp')).toBe(answer);
    expect(aggregatorOf(spec).traits).toEqual(traits);
  });

  it('is whether its answers are JSON', () => {
    expect(isStructured(spec.function)).toBe(['topK', 'histogram', 'collect'].includes(spec.function));
  });
});

describe('an aggregate that answers with one of its values', () => {
  it('answers in the type of its column, in doubles where none is read', () => {
    expect((['min', 'max', 'first', 'last'] as const).map((name) => answerType(name, 'long'))).toEqual(
      Array(4).fill('long'),
    );
    expect(answerType('last', 'string')).toBe('string');
    expect(answerType('max', null)).toBe('double');
  });
});
