import { describe, expect, it } from 'vitest';
import type { ByteSlab } from '../../engine/record/column.ts';
import { encodeTransactions, type EncodedTransactions } from './encode-transactions.ts';
import { defects, type TransactionChunk } from './transaction-chunk.ts';
import { transactionStream } from './transaction-stream.ts';

function textAt(slab: ByteSlab, row: number): string {
  return new TextDecoder().decode(slab.data.subarray(slab.offsets[row], slab.offsets[row + 1]));
}

function firstChunk(chunkRecords: number): TransactionChunk {
  return transactionStream({ seed: 5, customers: 300, terminals: 120_000, chunkRecords, driftFromDay: 0 }).next().value;
}

/** One record with the given defect. */
function spoilt(defect: number): EncodedTransactions {
  return encodeTransactions({ ...firstChunk(1), defect: Uint8Array.of(defect) }, 'include');
}

describe('encodeTransactions', () => {
  it('writes what JSON.stringify would of the same values, and the card as key', () => {
    const chunk = firstChunk(3_000);
    const { keys, values } = encodeTransactions(chunk, 'include');
    for (let row = 0; row < chunk.rowCount; row++) {
      const card = textAt(chunk.cardIds, chunk.card[row] ?? 0);
      expect(textAt(keys, row)).toBe(card);
      expect(JSON.parse(textAt(values, row))).toEqual({
        transaction_id: `tx-${String(row).padStart(12, '0')}`,
        event_time: chunk.eventTimeMs[row],
        card_id: card,
        terminal_id: `terminal-${String(chunk.terminal[row]).padStart(6, '0')}`,
        amount: chunk.amount[row],
        is_fraud: chunk.fraudScenario[row] !== 0,
        fraud_scenario: chunk.fraudScenario[row],
      });
    }
  });

  it('writes every amount and number exactly, small and large', () => {
    const chunk = firstChunk(6);
    const amount = Float64Array.of(0, 0.01, 0.1, 9.99, 123_456.78, 9_007_199_254.74);
    const sequence = Float64Array.of(0, 9, 999_999, 1_000_000, 123_456_789_012, 9_007_199_254_740_991);
    const { values } = encodeTransactions({ ...chunk, amount, sequence }, 'omit');
    const messages = Array.from({ length: 6 }, (_, row) => JSON.parse(textAt(values, row)) as Record<string, unknown>);
    expect(messages.map((message) => message['amount'])).toEqual([...amount]);
    expect(messages.map((message) => Number(String(message['transaction_id']).slice(3)))).toEqual([...sequence]);
  });

  it('keeps the truth to itself when it is told to', () => {
    const { values } = encodeTransactions(firstChunk(1), 'omit');
    expect(Object.keys(JSON.parse(textAt(values, 0)) as object)).toEqual([
      'transaction_id',
      'event_time',
      'card_id',
      'terminal_id',
      'amount',
    ]);
  });

  it('spoils records so that they are no JSON', () => {
    for (const defect of [defects.truncated, defects.noise]) {
      expect(() => JSON.parse(textAt(spoilt(defect).values, 0)) as unknown).toThrow(SyntaxError);
    }
  });

  it('spoils records so that a field is missing, of another type, or not finite', () => {
    const message = (defect: number): Record<string, unknown> =>
      JSON.parse(textAt(spoilt(defect).values, 0)) as Record<string, unknown>;
    expect(message(defects.amountMissing)).not.toHaveProperty('amount');
    expect(typeof message(defects.amountText)['amount']).toBe('string');
    expect(message(defects.amountInfinite)['amount']).toBe(Infinity);
    expect(message(defects.timeMissing)).not.toHaveProperty('event_time');
    expect(message(defects.cardMissing)['card_id']).toBeNull();
    expect(textAt(spoilt(defects.cardMissing).keys, 0)).toBe('');
  });
});
