import type { MessageInput } from '../../../storage/message-batch-builder.ts';

/** Predictions as the fraud job publishes them, numbered from `first`, in two partitions. */
export function predictionMessages(first: number, count: number): readonly MessageInput[] {
  return Array.from({ length: count }, (_, index) => {
    const number = first + index;
    const partition = number % 2;
    const fraud = number % 50 === 7;
    return {
      partition,
      key: `card ${number % 100}`,
      value: JSON.stringify({
        transaction_id: `tx ${number}`,
        amount: number / 4,
        rolling_avg_7d: number % 10 === 0 ? null : 40.5,
        amount_to_avg_ratio: number % 10 === 0 ? 1 : number / 162,
        prediction: fraud ? 1 : 0,
        probability: fraud ? 0.9 : 0.1,
        threshold: 0.5,
        card_id: `card ${number % 100}`,
        terminal_id: `terminal ${number % 7}`,
        event_time: new Date(1_700_000_000_000 + number * 60_000).toISOString(),
        model: 'fraud',
        model_version: '1',
        model_digest: 'm',
        feature_set_digest: 'f',
        source_partition: partition,
        source_offset: (number - partition) / 2,
        late: number % 100 === 3,
        degraded: false,
        features: { amount: number / 4, txn_count_1h: number % 5, rolling_avg_7d: number % 10 === 0 ? null : 40.5 },
      }),
    };
  });
}
