import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { messageValue, sliceMessages, type MessageBatch } from '../record/message-batch.ts';
import { IDLE, MARK, recordBatch, selectRows } from '../record/record-batch.ts';
import { Schema } from '../record/schema.ts';
import type { Decoder } from '../serde/decoder.ts';
import { messageBatchOf } from '../storage/message-batch-builder.ts';
import { decodeParts } from './decode-parts.ts';

/** Takes a message's text for what it is: a record, a bad one, a mark, or word of an idle writer. */
const decoder: Decoder = {
  prepare: () => null,
  decode: (messages) => {
    const texts = textsOf(messages);
    const rows = texts.flatMap((text, index) => (text === 'bad' ? [] : [index]));
    const all = recordBatch(new Schema([]), [], {
      partition: Int32Array.from(texts, (_, index) => index % 3),
      offset: Float64Array.from(messages.offsets, (offset) => 100 + offset),
      eventTimesMs: new Float64Array(texts.length),
    });
    texts.forEach((text, index) => {
      all.flags[index] = text === 'idle' ? MARK | IDLE : text === 'mark' ? MARK : 0;
      all.watermarksMs[index] = messages.offsets[index] ?? 0;
    });
    const deadLetters = texts.flatMap((text, index) => {
      const at = { topic: 'x', partition: 0, offset: messages.offsets[index] ?? 0 };
      return text === 'bad' ? [{ ...at, stage: 'decode', code: 'BAD', message: '', value: null } as const] : [];
    });
    return { records: selectRows(all, Int32Array.from(rows)), deadLetters };
  },
};

function textsOf(messages: MessageBatch): readonly string[] {
  return Array.from({ length: messages.messageCount }, (_, index) =>
    Buffer.from(messageValue(messages, index)).toString(),
  );
}

/** What is told, message by message, whatever the parts. */
function told(messages: MessageBatch): readonly string[] {
  return [...decodeParts(decoder, messages)].flatMap(({ records, deadLetters, messages: own }) => {
    const idle = records.idle ?? [];
    expect(records.rowCount + deadLetters.length + idle.length).toBe(own.messageCount);
    return [
      ...idle.map(({ offset, watermarkMs }) => `idle ${offset - 100} ${watermarkMs}`),
      ...Array.from(records.offsets, (offset, row) => `${records.flags[row] ?? 0} ${offset - 100}`),
      ...deadLetters.map(({ offset }) => `bad ${offset}`),
    ].toSorted((a, b) => placeOf(a) - placeOf(b));
  });
}

const placeOf = (text: string): number => Number(text.split(' ')[1]);

describe('the parts of a batch', () => {
  it('are one where nobody is idle, and begin where somebody is found to be', () => {
    const batch = messageBatchOf(
      'x',
      ['a', 'idle', 'idle', 'mark', 'bad', 'b', 'idle'].map((value, offset) => ({ value, offset: offset * 2 })),
    );
    const parts = [...decodeParts(decoder, batch)].map(({ records, messages }) => [
      textsOf(messages).join(' '),
      (records.idle ?? []).map(({ offset, watermarkMs }) => [offset, watermarkMs]),
      [...records.offsets],
    ]);
    expect(parts).toEqual([
      ['a', [], [100]],
      [
        'idle idle mark bad b',
        [
          [102, 2],
          [104, 4],
        ],
        [106, 110],
      ],
      ['idle', [[112, 12]], []],
    ]);
    expect([...decodeParts(decoder, sliceMessages(batch, 3, 6))]).toHaveLength(1);
  });

  it('tell of each message once, in order, however the log is cut into batches', () => {
    const texts = fc.array(fc.constantFrom('a', 'mark', 'idle', 'bad'), { maxLength: 20 });
    fc.assert(
      fc.property(texts, fc.nat(20), (values, cut) => {
        const batch = messageBatchOf(
          'x',
          values.map((value, offset) => ({ value, offset })),
        );
        const whole = told(batch);
        expect(whole.map((text) => placeOf(text))).toEqual(values.map((_, offset) => offset));
        const at = Math.min(cut, values.length);
        const halves = [sliceMessages(batch, 0, at), sliceMessages(batch, at, values.length)];
        expect(halves.flatMap((half) => told(half))).toEqual(whole);
      }),
      { numRuns: 1_000 },
    );
  });
});
