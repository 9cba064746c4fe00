import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';
import { stateWentBack, taskFenced } from './task-state.ts';

/** Deletes the hashes that the header knows, and what it says of them. KEYS: header. ARGV: owner, epoch. */
const clearScript = `
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
redis.call('HDEL', KEYS[1], 'offset', 'metadata', 'began')
return 'OK'
`;

/**
 * Deletes a task's state, for its owner, which rebuilds it from the log then. At once: whoever dies on the way leaves all of it or nothing.
 *
 * @param owner and the epoch as claimed (`RedisTaskState.claim`), which is to be claimed again by the same owner, to find nothing.
 * @throws {SluiceError} `TASK_FENCED`, `STATE_WENT_BACK`; what {@link redisFailure} says.
 */
export async function clearTaskState(client: RedisClient, task: string, owner: string, epoch: number): Promise<void> {
  const answer = await client.eval(clearScript, 1, `sluice:{${task}}`, owner, String(epoch)).catch((error: unknown) => {
    throw redisFailure(`clear the state of ${task}`, error);
  });
  if (answer !== 'OK') throw answer === 'FENCED' ? taskFenced(task) : stateWentBack(task);
}
