import { describe, expect, it } from 'vitest';
import { editDistance, nearestName } from './nearest-name.ts';

describe('nearestName', () => {
  it('finds a name with two letters swapped', () => {
    expect(nearestName('amonut', ['card_id', 'amount', 'event_time'])).toBe('amount');
  });

  it('takes another case for the same letters', () => {
    expect(nearestName('TX_Amount', ['TX_DATETIME', 'TX_AMOUNT'])).toBe('TX_AMOUNT');
  });

  it('suggests nothing when nothing is near', () => {
    expect(nearestName('latitude', ['amount', 'card_id'])).toBeNull();
    expect(nearestName('x', ['longer'])).toBeNull();
  });

  it('prefers the nearer of two', () => {
    expect(nearestName('rolling_avg_7', ['rolling_avg_30d', 'rolling_avg_7d'])).toBe('rolling_avg_7d');
  });
});

describe('editDistance', () => {
  it('counts inserted, deleted, replaced and swapped letters as one each', () => {
    expect(editDistance('abc', 'abcd')).toBe(1);
    expect(editDistance('abcd', 'abc')).toBe(1);
    expect(editDistance('abc', 'axc')).toBe(1);
    expect(editDistance('abc', 'acb')).toBe(1);
    expect(editDistance('', 'abc')).toBe(3);
  });
});
