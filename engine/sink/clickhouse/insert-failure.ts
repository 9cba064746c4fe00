import { ClickHouseError } from '@clickhouse/client';
import { clickHouseFailure, isNetworkError, isTransientAnswer } from '../../clickhouse/clickhouse-failure.ts';
import { SluiceError, messageOf } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

/**
 * What went wrong with an insert, in words, and whether the same is to be tried again.
 *
 * @returns what was thrown, where that is neither an answer of ClickHouse nor the want of one: a bug of ours.
 */
export function insertFailure(table: string, messages: MessageBatch, thrown: unknown): unknown {
  if (thrown instanceof SluiceError) return thrown;
  const fields = { table, topic: messages.topic, messages: messages.messageCount };
  if (!(thrown instanceof ClickHouseError)) {
    if (!isNetworkError(thrown)) return clickHouseFailure(`insert into ClickHouse table ${table}`, thrown);
    return new SluiceError(
      'CLICKHOUSE_UNAVAILABLE',
      `could not insert ${messages.messageCount} messages of topic ${messages.topic} into ClickHouse table ${table}: ${messageOf(thrown)}; ` +
        `they are kept in the topic, and inserted when it answers again`,
      { retryable: 'transient', fields, cause: thrown },
    );
  }
  const said = `${thrown.message.trim()} (${thrown.type ?? 'code'} ${thrown.code})`;
  if (isTransientAnswer(thrown)) {
    return new SluiceError(
      'CLICKHOUSE_BUSY',
      `could not insert ${messages.messageCount} messages of topic ${messages.topic} into ClickHouse table ${table} yet: ${said}`,
      { retryable: 'transient', fields: { ...fields, clickHouseCode: thrown.code }, cause: thrown },
    );
  }
  return new SluiceError(
    'CLICKHOUSE_REFUSED',
    `ClickHouse table ${table} must take the messages of topic ${messages.topic}; got ${said}${placeOf(messages, thrown.message)}. ` +
      `Make the table fit the messages (sluice migrate makes Sluice's own), and start again: nothing is skipped`,
    { fields: { ...fields, clickHouseCode: thrown.code }, cause: thrown },
  );
}

/** ClickHouse counts an insert's rows from 1; a reader wants the topic's offset. */
function placeOf(messages: MessageBatch, said: string): string {
  const row = Number(/\(at row (\d+)\)/.exec(said)?.[1] ?? 0) - 1;
  if (row < 0 || row >= messages.messageCount) return '';
  return `, at offset ${messages.offsets[row]} of partition ${messages.partitions[row]}`;
}
