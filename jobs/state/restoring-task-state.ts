import type { StateEntry, StateReader } from '../../engine/state/state-store.ts';
import type { RedisClient } from '../../engine/state/redis/connect-redis.ts';
import { RedisTaskState, type RedisTaskStateOptions } from '../../engine/state/redis/redis-task-state.ts';
import { replaceTaskState } from '../../engine/state/redis/replace-task-state.ts';
import type { TaskClaim, TaskState, TaskStateAnswer, TaskStateWrite } from '../../engine/state/redis/task-state.ts';

/**
 * A task's state in Redis whose one write puts a savepoint in the place of all that was there. Whatever stood there counts as nothing: the commit log is told of no state, and so
 * writes it behind the position that it commits.
 */
export class RestoringTaskState implements TaskState {
  readonly #client: RedisClient;
  readonly #options: RedisTaskStateOptions;
  readonly #state: ReadonlyMap<string, readonly StateEntry[]>;
  readonly #inner: RedisTaskState;
  #epoch = 0;

  /** @param state by operator; all that the task is to have. */
  constructor(client: RedisClient, options: RedisTaskStateOptions, state: ReadonlyMap<string, readonly StateEntry[]>) {
    this.#client = client;
    this.#options = options;
    this.#state = state;
    this.#inner = new RedisTaskState(client, options);
  }

  async claim(minEpoch: number): Promise<TaskClaim> {
    const { epoch } = await this.#inner.claim(minEpoch);
    this.#epoch = epoch;
    return { epoch, offset: null, metadata: null };
  }

  async write({ to, metadata }: TaskStateWrite): Promise<TaskStateAnswer> {
    await replaceTaskState(this.#client, { ...this.#options, epoch: this.#epoch, to, metadata, state: this.#state });
    return 'ok';
  }

  getMany(operatorId: string, keys: readonly Uint8Array[]): ReturnType<StateReader['getMany']> {
    return this.#inner.getMany(operatorId, keys);
  }

  scan(operatorId: string): AsyncIterable<StateEntry> {
    return this.#inner.scan(operatorId);
  }

  scanSome(operatorId: string, from: string | null, aboutKeys: number): ReturnType<TaskState['scanSome']> {
    return this.#inner.scanSome(operatorId, from, aboutKeys);
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inner[Symbol.asyncDispose]();
  }
}
