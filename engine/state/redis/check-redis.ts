import { Cluster, type Redis } from 'ioredis';
import { SluiceError } from '../../error.ts';
import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';

/** What a server says of itself in `INFO`, by name. */
async function infoOf(server: Redis): Promise<ReadonlyMap<string, string>> {
  const lines = (await server.info()).split('\r\n');
  return new Map(
    lines.flatMap((line) =>
      line.includes(':') ? [[line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]] : [],
    ),
  );
}

/** The servers that hold data: the one, or the masters of a cluster. */
function masters(client: RedisClient): readonly Redis[] {
  return client instanceof Cluster ? client.nodes('master') : [client];
}

/**
 * Refuses a Redis that would throw state away when its memory is full. Called at each claim (exactly-once, "Determinism") and by `sluice
 * doctor`; asks `INFO`, which managed services allow where `CONFIG` is not.
 *
 * @throws {SluiceError} `REDIS_EVICTS`, naming the server and the setting; what {@link redisFailure} says where it cannot be asked.
 */
export async function checkRedisKeepsState(client: RedisClient): Promise<void> {
  for (const server of masters(client)) {
    const info = await infoOf(server).catch((error: unknown) => {
      throw redisFailure('ask Redis for its settings', error);
    });
    const policy = info.get('maxmemory_policy') ?? 'unknown';
    if (policy === 'noeviction') continue;
    const { host = '', port = 0 } = server.options;
    throw new SluiceError(
      'REDIS_EVICTS',
      `maxmemory-policy of the Redis at ${host}:${port} must be noeviction, or state would be lost without a word; got ${policy}. ` +
        'Set it in redis.conf (or: CONFIG SET maxmemory-policy noeviction), and keep caches in another Redis',
      { fields: { host, port, policy } },
    );
  }
}

/**
 * Whether each server that holds state writes every change to disk (`appendonly yes`). One that does not loses, when it crashes, what came since its last
 * snapshot, or everything: the log has it, and it is replayed, which takes its time. Asked before a job starts.
 *
 * @throws {SluiceError} what {@link redisFailure} says where it cannot be asked.
 */
export async function redisWritesToDisk(client: RedisClient): Promise<boolean> {
  for (const server of masters(client)) {
    const info = await infoOf(server).catch((error: unknown) => {
      throw redisFailure('ask Redis whether it writes to disk', error);
    });
    if (info.get('aof_enabled') !== '1') return false;
  }
  return true;
}
