import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DeadLetter } from '../record/dead-letter.ts';
import { messageKey, messageValue } from '../record/message-batch.ts';
import { encodeDeadLetters } from './dead-letter-encoder.ts';

const text = new TextDecoder();

const letter: DeadLetter = {
  topic: 'transactions',
  partition: 5,
  offset: 1234,
  stage: 'decode',
  code: 'FIELD_TYPE',
  message: 'field "amount" must be a finite number; got a string',
  value: new TextEncoder().encode('{"amount":"x"}'),
};

describe('encodeDeadLetters', () => {
  it('writes everything needed to find, understand and resend the record', () => {
    const batch = encodeDeadLetters('dead', [letter, { ...letter, offset: 1235, value: null }], 2);
    expect(JSON.parse(text.decode(messageValue(batch, 0)))).toEqual({ ...letter, value: 'eyJhbW91bnQiOiJ4In0=' });
    expect(JSON.parse(text.decode(messageValue(batch, 1)))).toEqual({ ...letter, offset: 1235, value: null });
    expect(text.decode(messageKey(batch, 0))).toBe('transactions/5/1234');
    expect([batch.topic, batch.messageCount, [...batch.partitions], [...batch.timestampsMs]]).toEqual([
      'dead',
      2,
      [1, 1],
      [-1, -1],
    ]);
  });

  it('gives the original bytes back, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (value) => {
        const batch = encodeDeadLetters('dead', [{ ...letter, value }], 1);
        const { value: base64 } = JSON.parse(text.decode(messageValue(batch, 0))) as { value: string };
        expect(Uint8Array.from(Buffer.from(base64, 'base64'))).toEqual(value);
      }),
    );
  });

  it('is the same bytes every time', () => {
    expect(encodeDeadLetters('dead', [letter], 3)).toEqual(encodeDeadLetters('dead', [letter], 3));
  });
});
