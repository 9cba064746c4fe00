import { SluiceError, messageOf } from '../../error.ts';

/** Redis's own words for "not now": it is starting, failing over, or a script of somebody else keeps it busy. */
const transientReplies = /^(LOADING|READONLY|CLUSTERDOWN|MASTERDOWN|TRYAGAIN|MOVED|ASK|BUSY|NOREPLICAS|UNBLOCKED)\b/;
/** It refuses writes because its disk or its memory is full. */
const fullReplies = /^(OOM|MISCONF)\b/;
/** It refuses this user. */
const refusedReplies = /^(NOAUTH|WRONGPASS|NOPERM)\b/;

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError';
}

/**
 * What ioredis rejected with, as an error of the world. Whatever is not Redis's own word (a cut connection, a time-out, no route) leaves
 * open whether the command was applied.
 *
 * @param action what was being done, as in "could not `write the state of task …`".
 */
export function redisFailure(action: string, thrown: unknown): SluiceError {
  if (thrown instanceof SluiceError) return thrown;
  const words = messageOf(thrown);
  if (isReply(thrown) && fullReplies.test(words)) {
    return new SluiceError(
      'REDIS_FULL',
      `could not ${action}: ${words}; give Redis more memory or disk, the same is tried again until then`,
      { retryable: 'transient', cause: thrown },
    );
  }
  if (isReply(thrown) && refusedReplies.test(words)) {
    return new SluiceError(
      'REDIS_REFUSED',
      `could not ${action}: ${words}; check the user, the password, and that its ACL allows EVAL, HGET, HMGET, HSET, HDEL, HKEYS, HGETALL, HSCAN, UNLINK and INFO on the job's keys (sluice:*), and EXISTS and RENAME for whoever restores a savepoint`,
      { cause: thrown },
    );
  }
  if (isReply(thrown) && !transientReplies.test(words)) {
    return new SluiceError('REDIS_FAILED', `could not ${action}: Redis answered "${words}"`, { cause: thrown });
  }
  return new SluiceError('REDIS_UNAVAILABLE', `could not ${action}: ${words}; it is tried again until Redis answers`, {
    retryable: 'transient',
    cause: thrown,
  });
}
