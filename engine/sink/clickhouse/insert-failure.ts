import { ClickHouseError } from '@clickhouse/client';
import { SluiceError, messageOf } from '../../error.ts';
import type { MessageBatch } from '../../record/message-batch.ts';

/**
 * What ClickHouse says of an insert that may succeed when it is tried again: it is short of something, busy, losing a connection of its own, or does
 * not know how the insert ended. Numbers as in its `ErrorCodes.cpp`.
 */
const transientCodes = new Set([
  '159', // TIMEOUT_EXCEEDED
  '160', // TOO_SLOW
  '164', // READONLY
  '198', // DNS_ERROR
  '201', // QUOTA_EXCEEDED
  '202', // TOO_MANY_SIMULTANEOUS_QUERIES
  '203', // NO_FREE_CONNECTION
  '209', // SOCKET_TIMEOUT
  '210', // NETWORK_ERROR
  '236', // ABORTED
  '241', // MEMORY_LIMIT_EXCEEDED
  '242', // TABLE_IS_READ_ONLY
  '243', // NOT_ENOUGH_SPACE
  '252', // TOO_MANY_PARTS
  '285', // TOO_FEW_LIVE_REPLICAS
  '286', // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
  '319', // UNKNOWN_STATUS_OF_INSERT
  '394', // QUERY_WAS_CANCELLED
  '473', // DEADLOCK_AVOIDED
  '574', // DISTRIBUTED_TOO_MANY_PENDING_BYTES
  '999', // KEEPER_EXCEPTION
]);

/** How Node, and the client, say that there was no answer: refused, cut off, timed out, or a name that is not known at the moment. */
const networkCodes = new Set<unknown>([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ERR_STREAM_PREMATURE_CLOSE',
]);
const networkMessages = /^Timeout error|socket hang up|premature close|aborted/i;

/**
 * What went wrong with an insert, in words, and whether the same is to be tried again.
 *
 * @returns what was thrown, where that is neither an answer of ClickHouse nor the want of one: a bug of ours.
 */
export function insertFailure(table: string, messages: MessageBatch, thrown: unknown): unknown {
  if (thrown instanceof SluiceError) return thrown;
  const fields = { table, topic: messages.topic, messages: messages.messageCount };
  if (!(thrown instanceof ClickHouseError)) {
    if (!isNetworkError(thrown)) return thrown;
    return new SluiceError(
      'CLICKHOUSE_UNAVAILABLE',
      `could not insert ${messages.messageCount} messages of topic ${messages.topic} into ClickHouse table ${table}: ${messageOf(thrown)}; ` +
        `they are kept in the topic, and inserted when it answers again`,
      { retryable: 'transient', fields, cause: thrown },
    );
  }
  const said = `${thrown.message.trim()} (${thrown.type ?? 'code'} ${thrown.code})`;
  if (transientCodes.has(thrown.code)) {
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

function isNetworkError(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ('code' in thrown && networkCodes.has(thrown.code)) || networkMessages.test(thrown.message);
}

/** ClickHouse counts an insert's rows from 1; a reader wants the topic's offset. */
function placeOf(messages: MessageBatch, said: string): string {
  const row = Number(/\(at row (\d+)\)/.exec(said)?.[1] ?? 0) - 1;
  if (row < 0 || row >= messages.messageCount) return '';
  return `, at offset ${messages.offsets[row]} of partition ${messages.partitions[row]}`;
}
