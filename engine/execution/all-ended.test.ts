import { describe, expect, it } from 'vitest';
import { allEnded } from './all-ended.ts';

describe('allEnded', () => {
  it('gives the results in their order', async () => {
    expect(await allEnded([Promise.resolve(1), Promise.resolve('two')])).toEqual([1, 'two']);
  });

  it('gives the error that came first, once the others have ended', async () => {
    const ends: string[] = [];
    let failLate = (): void => undefined;
    const late = new Promise<void>((_, reject) => {
      failLate = () => reject(new Error('the second'));
    }).finally(() => ends.push('late'));
    const all = allEnded([late, Promise.reject(new Error('the first'))]).finally(() => ends.push('all'));
    setImmediate(failLate);
    await expect(all).rejects.toThrow('the first');
    expect(ends).toEqual(['late', 'all']);
  });
});
