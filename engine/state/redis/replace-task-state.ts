import { SluiceError } from '../../error.ts';
import type { StateEntry } from '../state-store.ts';
import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';
import { swapScript } from './state-scripts.ts';
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
