import type { StateEntry, StateReader } from '../state-store.ts';
import type { RedisClient } from './connect-redis.ts';
import { redisFailure } from './redis-failure.ts';

const scanBatchKeys = 1_000;

/**
 * A task's state in Redis for whoever only looks at it: nothing is claimed, so an owner may be writing meanwhile. Whoever needs the state as of one moment reads the header
 * (`readTaskHeader`) before and behind it.
 */
export class StoredTaskState implements StateReader {
  readonly #client: RedisClient;
  readonly #task: string;

  /** @param task as its owner names it. */
  constructor(client: RedisClient, task: string) {
    this.#client = client;
    this.#task = task;
  }

  async getMany(operatorId: string, keys: readonly Uint8Array[]): Promise<readonly (Uint8Array | null)[]> {
    if (keys.length === 0) return [];
    return this.#client
      .hmgetBuffer(this.#keyOf(operatorId), ...keys.map((key) => Buffer.from(key)))
      .catch((error: unknown) => this.#fail(error));
  }

  async *scan(operatorId: string): AsyncIterable<StateEntry> {
    // Redis may give a key twice while its table grows.
    const entries = new Map<string, StateEntry>();
    let cursor = '0';
    do {
      const [next, found] = await this.#client
        .hscanBuffer(this.#keyOf(operatorId), cursor, 'COUNT', scanBatchKeys)
        .catch((error: unknown) => this.#fail(error));
      cursor = next.toString();
      for (let i = 0; i + 1 < found.length; i += 2) {
        const [key, value] = [found[i], found[i + 1]];
        if (key !== undefined && value !== undefined) entries.set(key.toString('latin1'), { key, value });
      }
    } while (cursor !== '0');
    yield* [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
  }

  /** The ids of the operators that have had state; some may have none now. */
  async operators(): Promise<readonly string[]> {
    const header = `sluice:{${this.#task}}`;
    const fields = await this.#client.hkeys(header).catch((error: unknown) => this.#fail(error));
    const prefix = `hash ${header}:`;
    return fields.filter((field) => field.startsWith(prefix)).map((field) => field.slice(prefix.length));
  }

  #keyOf(operatorId: string): string {
    return `sluice:{${this.#task}}:${operatorId}`;
  }

  #fail(error: unknown): never {
    throw redisFailure(`look at the state of ${this.#task}`, error);
  }
}
