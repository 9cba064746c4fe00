import { SluiceError } from '../../error.ts';
import type { StateEntry } from '../state-store.ts';
import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';
import { stateWentBack, taskFenced } from './task-state.ts';

/** Redis is busy for about a millisecond with so many. */
const keysPerCommand = 1_000;

/** State that takes the place of a task's, and whose it is from then on. */
export interface TaskReplacement {
  readonly task: string;
  /** As claimed (`RedisTaskState.claim`); another owner's claim since makes the replacement fail. */
  readonly owner: string;
  readonly epoch: number;
  /** The offset that the state reflects, and what is written beside it. */
  readonly to: number;
  readonly metadata: string;
  /** By operator; operators that are not here have no state any more. */
  readonly state: ReadonlyMap<string, readonly StateEntry[]>;
}

/**
 * Puts hashes that were written beside the task's in their places. KEYS: header, then staged and final hash by turns. ARGV: owner, epoch, offset, metadata. Hashes that the header knows
 * and that are not among them are deleted. One transaction of Redis: whoever dies on the way leaves the former state or the new one.
 */
const swapScript = `
local head = redis.call('HMGET', KEYS[1], 'owner', 'epoch')
local epoch, own = tonumber(head[2] or '0'), tonumber(ARGV[2])
if epoch > own or (epoch == own and head[1] ~= ARGV[1]) then return 'FENCED' end
if epoch < own then return 'MISMATCH' end
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(field, 1, 5) == 'hash ' then
    redis.call('UNLINK', string.sub(field, 6))
    redis.call('HDEL', KEYS[1], field)
  end
end
redis.call('HSET', KEYS[1], 'began', ARGV[3])
for k = 2, #KEYS, 2 do
  if redis.call('EXISTS', KEYS[k]) == 1 then
    redis.call('RENAME', KEYS[k], KEYS[k + 1])
    redis.call('HSET', KEYS[1], 'hash ' .. KEYS[k + 1], '')
  else
    redis.call('UNLINK', KEYS[k + 1])
  end
end
redis.call('HSET', KEYS[1], 'offset', ARGV[3], 'metadata', ARGV[4])
return 'OK'
`;

/**
 * Replaces the whole state of a task at once: writes it beside the task's hashes, in the same hash slot, and then renames it into its place, where the owner still has the task.
 *
 * @throws {SluiceError} `TASK_FENCED`, `STATE_WENT_BACK`; what {@link redisFailure} says. Nothing has changed then.
 */
export async function replaceTaskState(client: RedisClient, replacement: TaskReplacement): Promise<void> {
  const { task, owner, epoch, to, metadata, state } = replacement;
  const header = `sluice:{${task}}`;
  const staged = (operatorId: string): string => `sluice:{${task}}~staged:${operatorId}`;
  try {
    const keys: string[] = [header];
    for (const [operatorId, entries] of state) {
      const key = staged(operatorId);
      keys.push(key, `${header}:${operatorId}`);
      // What a replacement that died has left.
      await client.unlink(key);
      for (let from = 0; from < entries.length; from += keysPerCommand) {
        const some = entries.slice(from, from + keysPerCommand);
        await client.hset(key, ...some.flatMap((entry) => [Buffer.from(entry.key), Buffer.from(entry.value)]));
      }
    }
    const answer = await client.eval(swapScript, keys.length, ...keys, owner, String(epoch), String(to), metadata);
    if (answer === 'OK') return;
    throw answer === 'FENCED' ? taskFenced(task) : stateWentBack(task);
  } catch (error) {
    if (error instanceof SluiceError) throw error;
    throw redisFailure(`put a savepoint in the place of the state of ${task}`, error);
  }
}
