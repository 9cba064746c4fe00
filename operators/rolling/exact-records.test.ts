import { describe, expect, it } from 'vitest';
import { LATE } from '../../engine/record/record-batch.ts';
import { Schema } from '../../engine/record/schema.ts';
import { KeyIndex } from '../../engine/state/key-index.ts';
import { ExactRecords } from './exact-records.ts';
import type { RollingAggregate, RollingDefinition } from './rolling-definition.ts';

const schema = new Schema([
  { name: 'card', type: 'string', presence: 'optional' },
  { name: 'amount', type: 'double', presence: 'optional' },
  { name: 'place', type: 'string', presence: 'optional' },
]);

const aggregate = (fn: RollingAggregate['function'], input: string): RollingAggregate => ({
  name: `${fn} of ${input}`,
  function: fn,
  input,
  overMs: 100,
  delayMs: 0,
  current: 'include',
  where: null,
  n: null,
  halfLifeMs: null,
});

/** Amounts in the first stored column, places in the second. */
const definition: RollingDefinition = {
  operatorId: 'op',
  key: ['card'],
  aggregates: [aggregate('sum', 'amount'), aggregate('distinct', 'place')],
  allowedLatenessMs: 0,
};

/** The texts of a dictionary of this many are looked through, and not those of a smaller one. */
const sweepSize = 65_536;

/** Records by key, as the operator has them. */
class Kept {
  readonly records: ExactRecords = new ExactRecords(definition, schema);
  readonly keys: KeyIndex = new KeyIndex();

  slot(card: string): number {
    return this.keys.findOrInsertKey(Buffer.from(card));
  }

  code(place: string): number {
    return this.records.dictionary.findOrInsertKey(Buffer.from(place));
  }

  /** Puts texts in that no row has, until there are so many. */
  fill(size: number): void {
    for (let text = 0; this.records.dictionary.size < size; text++) this.code(`unused ${text}`);
  }

  /** The number of different places that the record sees, and how it came. */
  take(card: string, t: number, amount: number, place: string, watermarkMs = -Infinity): [unknown, number] {
    const answers = [new Float64Array(1), new Float64Array(1)];
    const inputs = [Float64Array.of(amount), Float64Array.of(this.code(place))];
    const flag = this.records.answer(this.slot(card), 0, t, watermarkMs, inputs, answers);
    return [answers[1]?.[0], flag];
  }

  /** How many texts are left when those have been given back that no row has. */
  tidied(): number {
    this.records.tidy(this.keys);
    return this.records.dictionary.size;
  }

  has(place: string): boolean {
    return this.records.dictionary.has(Buffer.from(place));
  }
}

describe('texts that no row has', () => {
  it('are kept until there are many, and then forgotten', () => {
    const kept = new Kept();
    kept.take('a', 1, 7, 'x');
    kept.take('b', 1, 7, 'y');
    kept.fill(sweepSize - 1);
    expect(kept.tidied()).toBe(sweepSize - 1);
    kept.fill(sweepSize);
    expect(kept.tidied()).toBe(2);
    expect([kept.has('x'), kept.has('y')]).toEqual([true, true]);
    // The same again: with few left, it is not looked for them before there are as many.
    kept.fill(sweepSize - 1);
    expect(kept.tidied()).toBe(sweepSize - 1);
    kept.fill(sweepSize);
    expect(kept.tidied()).toBe(2);
  });

  it('are looked for again when there are twice as many as were left', () => {
    const kept = new Kept();
    const used = 40_000;
    for (let text = 0; text < used; text++) kept.take('a', text, 1, `used ${text}`);
    kept.fill(sweepSize);
    expect(kept.tidied()).toBe(used);
    kept.fill(2 * used - 1);
    expect(kept.tidied()).toBe(2 * used - 1);
    kept.fill(2 * used);
    expect(kept.tidied()).toBe(used);
  });

  it('are not taken for used because a number is as large as their code, or since they stand where rows have been', () => {
    const kept = new Kept();
    for (const place of ['p', 'q', 'r']) kept.take('gone', 1, 0, place);
    const last = kept.code('r');
    kept.records.clear(kept.slot('gone'));
    // It has the room of the others, whose places are still written behind its own.
    kept.take('a', 2, last + 1, 'x');
    kept.code('at the amount');
    expect(kept.code('at the amount')).toBe(last + 2);
    kept.take('a', 3, last + 2, 'x');
    kept.fill(sweepSize);
    expect(kept.tidied()).toBe(1);
    expect(kept.has('x')).toBe(true);
  });

  it('are those of no key, where a key has no rows yet', () => {
    const kept = new Kept();
    kept.slot('without rows');
    kept.take('late', 0, 1, 'w', 500);
    kept.take('a', 1, 1, 'x');
    kept.fill(sweepSize);
    expect(kept.tidied()).toBe(1);
    expect(kept.has('x')).toBe(true);
  });
});

describe('a record', () => {
  it('is answered with those before it, and kept unless it is late', () => {
    const kept = new Kept();
    expect(kept.take('a', 10, 1, 'x')).toEqual([1, 0]);
    expect(kept.take('a', 20, 1, 'y', 0)).toEqual([2, 0]);
    expect(kept.take('a', 30, 1, 'z', 131)).toEqual([1, LATE]);
    expect(kept.take('a', 31, 1, 'z', 131)).toEqual([1, 0]);
    expect(kept.take('a', 32, 1, 'w', 0)).toEqual([4, 0]);
    expect(kept.records.newestMs(kept.slot('a'))).toBe(32);
  });

  it('sees nothing of a key whose slot its own has been given', () => {
    const kept = new Kept();
    kept.take('a', 10, 1, 'x');
    kept.take('a', 10, 1, 'y');
    const slot = kept.slot('a');
    const { heldBytes } = kept.records;
    kept.records.clear(slot);
    expect([kept.records.newestMs(slot), kept.records.heldBytes]).toEqual([-Infinity, 0]);
    kept.keys.delete(slot);
    expect(kept.slot('b')).toBe(slot);
    expect(kept.take('b', 10, 1, 'z')).toEqual([1, 0]);
    expect(kept.records.heldBytes).toBe(heldBytes);
  });
});
