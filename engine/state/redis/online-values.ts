import { strict as assert } from 'node:assert';
import { redisFailure } from './redis-failure.ts';
import type { RedisClient } from './connect-redis.ts';

/** The latest values of one key of an entity, and the record that they were answered for. */
export interface OnlineRow {
  /** The entity's key, as records have it. */
  readonly key: string;
  readonly eventTimeMs: number;
  readonly partition: number;
  readonly offset: number;
  /** Field and value by turns. Absolute: what is not here is not in the hash either. */
  readonly fields: readonly string[];
}

/** Where the hashes are, and how long they outlive their last record. */
export interface OnlineValuesOptions {
  /** The installation's name; it begins every key. */
  readonly app: string;
  /** `null` keeps them for ever. */
  readonly ttlMs: number | null;
}

/** A script occupies Redis while it runs: some 20 µs for a row of 30 values. */
const rowsPerCommand = 500;

/**
 * Replaces each hash whose position is not beyond that of the row, as a whole. KEYS: the hashes. ARGV: time to live in milliseconds or 0, then for each hash event
 * time, partition, offset, how many arguments follow, and these: field and value by turns. Gives how many were replaced.
 *
 * Positions are compared by event time, partition, offset: the total order of the stream. A row as old as the hash is written again, for a job whose
 * features have changed since.
 */
const replaceScript = `
local ttl, next, replaced = tonumber(ARGV[1]), 2, 0
for k = 1, #KEYS do
  local time, partition, offset = tonumber(ARGV[next]), tonumber(ARGV[next + 1]), tonumber(ARGV[next + 2])
  local first = next + 4
  next = first + tonumber(ARGV[next + 3])
  local at = redis.call('HMGET', KEYS[k], '@event_time', '@partition', '@offset')
  local t, p, o = tonumber(at[1] or ''), tonumber(at[2] or ''), tonumber(at[3] or '')
  local isBeyond = t and (t > time or (t == time and (p > partition or (p == partition and o > offset))))
  if not isBeyond then
    redis.call('DEL', KEYS[k])
    redis.call('HSET', KEYS[k], '@event_time', ARGV[first - 4], '@partition', ARGV[first - 3], '@offset', ARGV[first - 2])
    if next > first then redis.call('HSET', KEYS[k], unpack(ARGV, first, next - 1)) end
    if ttl > 0 then redis.call('PEXPIRE', KEYS[k], ttl) end
    replaced = replaced + 1
  end
end
return replaced
`;

/** The key of an entity's hash: what `HGETALL` is asked for. The braces put an entity's hashes in one slot of a Redis Cluster, so that one command writes many. */
export function onlineKey(app: string, entity: string, key: string): string {
  return `${app}:online:{${entity}}:${key}`;
}

/**
 * The latest feature values of each key as a plain hash, `APP:online:{ENTITY}:KEY`, which any service reads with one `HGETALL`: fields are the features' names, beside them
 * `@event_time` (milliseconds), `@partition` and `@offset` of the record that they were answered for.
 *
 * A hash never goes back: whoever writes an older record's values (a former owner, a replay) changes nothing. Several tasks may write the same key.
 */
export class OnlineValues {
  readonly #client: RedisClient;
  readonly #options: OnlineValuesOptions;

  /** @param client shared; it stays open. */
  constructor(client: RedisClient, options: OnlineValuesOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * Writes the rows of an entity, 500 a command. Sent twice, or to an end that is not known, it may be sent again.
   *
   * @returns how many hashes were replaced; the others were newer.
   * @throws {SluiceError} what {@link redisFailure} says.
   */
  async write(entity: string, rows: readonly OnlineRow[]): Promise<number> {
    assert(!/[{}]/.test(entity), `an entity's name must hold no braces: ${entity}`);
    const { app, ttlMs } = this.#options;
    let replaced = 0;
    for (let at = 0; at < rows.length; at += rowsPerCommand) {
      const run = rows.slice(at, at + rowsPerCommand);
      const command: string[] = [replaceScript, String(run.length)];
      for (const { key } of run) command.push(onlineKey(app, entity, key));
      command.push(String(ttlMs ?? 0));
      for (const { eventTimeMs, partition, offset, fields } of run) {
        command.push(String(eventTimeMs), String(partition), String(offset), String(fields.length));
        for (const text of fields) command.push(text);
      }
      const answer = await this.#client.call('eval', command).catch((error: unknown) => {
        throw redisFailure(`write the online values of ${run.length} keys of ${entity}`, error);
      });
      replaced += Number(answer);
    }
    return replaced;
  }
}
