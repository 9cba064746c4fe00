import { ClickHouseError } from '@clickhouse/client';
import { SluiceError, messageOf } from '../error.ts';

/**
 * What ClickHouse says of a statement that may succeed when it is tried again: it is short of something, busy, losing a connection of its own, or does
 * not know how an insert ended. Numbers as in its `ErrorCodes.cpp`.
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

/** Its words for a user that it does not know, or that may not: AUTHENTICATION_FAILED, ACCESS_DENIED and their like. */
const refusedCodes = new Set(['192', '193', '194', '497', '516']);

const unknownDatabase = '81';

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

/** Whether there was no answer, so that nobody knows whether the statement took effect. */
export function isNetworkError(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false;
  return ('code' in thrown && networkCodes.has(thrown.code)) || networkMessages.test(thrown.message);
}

/** Node's words for a certificate that is not believed, or a TLS that is not spoken. */
const tlsCodes = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)|SELF_SIGNED/;

function isTlsError(thrown: unknown): thrown is Error {
  return thrown instanceof Error && 'code' in thrown && tlsCodes.test(String(thrown.code));
}

/** Whether ClickHouse's answer is of the kind that the same statement may be tried again after. */
export function isTransientAnswer(error: ClickHouseError): boolean {
  return transientCodes.has(error.code);
}

/**
 * What the client rejected a statement with, as an error of the world; inserts have words of their own (`insertFailure`).
 *
 * @param action what was being done, as in "could not `look for table predictions`".
 * @returns what was thrown, where that is neither an answer of ClickHouse nor the want of one: a bug of ours.
 */
export function clickHouseFailure(action: string, thrown: unknown): unknown {
  if (thrown instanceof SluiceError) return thrown;
  if (!(thrown instanceof ClickHouseError)) {
    if (isTlsError(thrown)) {
      const words = `could not ${action}: ${thrown.message}; check the address, and the certificates that both sides believe`;
      return new SluiceError('CLICKHOUSE_REFUSED', words, { cause: thrown });
    }
    if (!isNetworkError(thrown)) return thrown;
    const message = `could not ${action}: ${messageOf(thrown)}; it is tried again where somebody waits for it`;
    return new SluiceError('CLICKHOUSE_UNAVAILABLE', message, { retryable: 'transient', cause: thrown });
  }
  const said = `${thrown.message.trim()} (${thrown.type ?? 'code'} ${thrown.code})`;
  if (isTransientAnswer(thrown)) {
    return new SluiceError('CLICKHOUSE_BUSY', `could not ${action} yet: ${said}`, {
      retryable: 'transient',
      cause: thrown,
    });
  }
  const advice = refusedCodes.has(thrown.code)
    ? '; check the user, the password and what it is granted'
    : thrown.code === unknownDatabase
      ? '; create it, or name another in the address (http://host:8123/DATABASE)'
      : '';
  return new SluiceError('CLICKHOUSE_REFUSED', `could not ${action}: ClickHouse says ${said}${advice}`, {
    fields: { clickHouseCode: thrown.code },
    cause: thrown,
  });
}
