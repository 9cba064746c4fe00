import { describe, expect, it } from 'vitest';
import type { MessageBatch } from '../../record/message-batch.ts';
import { DELETED, toRows } from '../../record/record-batch.ts';
import { Schema } from '../../record/schema.ts';
import { messageBatchOf } from '../../storage/message-batch-builder.ts';
import { JsonDecoder } from '../../serde/json-decoder.ts';
import { DeletionDecoder } from './deletion-decoder.ts';

interface Message {
  readonly key: string | Uint8Array;
  readonly value: string;
}

const at = Date.UTC(2024, 0, 1);

function messagesOf(messages: readonly Message[]): MessageBatch {
  return messageBatchOf(
    'rates',
    messages.map((message, index) => ({ ...message, partition: 3, offset: 100 + index, timestampMs: at + index })),
  );
}

function decoderOf(keyType: 'string' | 'long'): DeletionDecoder {
  const schema = new Schema([
    { name: 'currency', type: keyType, presence: 'required' },
    { name: 'updated', type: 'timestamp', presence: 'required' },
    { name: 'rate', type: 'double', presence: 'required' },
    { name: 'country', type: 'string', presence: 'optional' },
  ]);
  const decoder = new JsonDecoder({ schema, eventTimeField: 'updated', keyFields: ['currency'] });
  return new DeletionDecoder({ decoder, schema, keyField: 'currency', eventTimeField: 'updated' });
}

const rate = (currency: string | number, value: number): string =>
  JSON.stringify({ currency, updated: new Date(at).toISOString(), rate: value, country: null });

describe("a table's topic", () => {
  it('says by a message without a value that its key has none any more, at the time of the broker, in the order of the messages', () => {
    const messages = messagesOf([
      { key: 'EUR', value: rate('EUR', 1.5) },
      { key: 'USD', value: '' },
      { key: 'USD', value: rate('USD', 2) },
      { key: 'EUR', value: '' },
    ]);
    const decoder = decoderOf('string');
    expect(decoder.prepare(messages)).toBeNull();
    const { records, deadLetters } = decoder.decode(messages);
    expect(deadLetters).toEqual([]);
    expect([...records.offsets]).toEqual([100, 101, 102, 103]);
    expect([...records.partitions]).toEqual([3, 3, 3, 3]);
    expect([...records.flags]).toEqual([0, DELETED, 0, DELETED]);
    expect([...records.eventTimesMs]).toEqual([at, at + 1, at, at + 3]);
    expect(toRows(records)).toEqual([
      { currency: 'EUR', updated: at, rate: 1.5, country: null },
      { currency: 'USD', updated: at + 1, rate: null, country: null },
      { currency: 'USD', updated: at, rate: 2, country: null },
      { currency: 'EUR', updated: at + 3, rate: null, country: null },
    ]);
  });

  it('has nothing to do with messages that all have a value', () => {
    const { records } = decoderOf('string').decode(messagesOf([{ key: 'EUR', value: rate('EUR', 1.5) }]));
    expect([...records.flags]).toEqual([0]);
  });

  it('reads whole numbers as keys', () => {
    const { records, deadLetters } = decoderOf('long').decode(messagesOf([{ key: '-17', value: '' }]));
    expect(deadLetters).toEqual([]);
    expect(toRows(records)).toEqual([{ currency: -17, updated: at, rate: null, country: null }]);
  });

  it.each<['string' | 'long', string | Uint8Array]>([
    ['long', 'seventeen'],
    ['long', '90071992547409930'],
    ['string', Uint8Array.of(0xff, 0xfe)],
  ])('has a deletion of a %s by something else as a dead letter, between those around it', (type, key) => {
    const value = type === 'long' ? rate(1, 2) : rate('EUR', 2);
    const messages = messagesOf([
      { key: 'x', value: '{' },
      { key, value: '' },
      { key: 'x', value: '[]' },
      { key: '1', value },
    ]);
    const { records, deadLetters } = decoderOf(type).decode(messages);
    expect([...records.offsets]).toEqual([103]);
    expect(deadLetters.map(({ offset, code, stage }) => [offset, code, stage])).toEqual([
      [100, 'JSON_MALFORMED', 'decode'],
      [101, 'KEY_INVALID', 'key'],
      [102, 'JSON_NOT_OBJECT', 'decode'],
    ]);
  });

  it('has a message without key and value as the dead letter that it is without tables', () => {
    const { deadLetters } = decoderOf('string').decode(messagesOf([{ key: '', value: '' }]));
    expect(deadLetters.map(({ code }) => code)).toEqual(['JSON_MALFORMED']);
  });
});
