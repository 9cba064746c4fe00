import { describe, expect, it } from 'vitest';
import { Mt19937 } from './mt19937.ts';

describe('Mt19937', () => {
  it('gives the value that the C++ standard requires of mt19937: 4123659995 as the 10,000th word after seed 5489', () => {
    const twister = new Mt19937();
    twister.seedWord(5489);
    let word = 0;
    for (let i = 0; i < 10_000; i++) word = twister.nextUint32();
    expect(word).toBe(4123659995);
  });

  it("gives the authors' published words after seeding by array", () => {
    const twister = new Mt19937();
    twister.seedWords([0x123, 0x234, 0x345, 0x456]);
    const words = Array.from({ length: 5 }, () => twister.nextUint32());
    expect(words).toEqual([1067595299, 955945823, 477289528, 4107218783, 4228976476]);
  });

  it('starts anew when it is seeded again in the middle of its words', () => {
    const twister = new Mt19937();
    twister.seedWord(1);
    const first = Array.from({ length: 700 }, () => twister.nextDouble());
    twister.seedWord(1);
    expect(Array.from({ length: 700 }, () => twister.nextDouble())).toEqual(first);
  });
});
