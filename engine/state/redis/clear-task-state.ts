import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';
import { clearScript } from './state-scripts.ts';
import { stateWentBack, taskFenced } from './task-state.ts';

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
