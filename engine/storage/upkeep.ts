import { SluiceError } from '../error.ts';
import type { Clock } from '../time/clock.ts';
import type { Claim, Claims } from './claims.ts';
import { Checkpointer } from './checkpointer.ts';
import type { LmdbEnvironment } from './lmdb-environment.ts';

/**
 * When a commit would survive the death of the *machine*; that of the process it always does.
 *
 * - `interval`: within `checkpointIntervalMs`. After a power failure the log stands whole where it stood at the last checkpoint.
 * - `every-commit`: when the commit resolves. Costs a flush of the disk for each (here 0.4 to 8 ms).
 */
export type Durability = 'interval' | 'every-commit';

/** The log that is kept up: what {@link Upkeep} needs of `Storage`. */
export interface KeptLog {
  readonly directory: string;
  readonly clock: Clock;
  readonly environment: LmdbEnvironment;
  readonly claims: Claims;
  /** Deletes what is beyond the topics' retention, and says how many messages that was. */
  applyRetention(): number;
}

const retentionIntervalMs = 60_000;

/**
 * What a log needs done beside its users: checkpoints at an interval, retention once a minute. One process does both for a directory; another
 * takes over when that one is gone.
 *
 * A full disk stops neither the log nor the upkeep: the next round tries again, and writers get `STORAGE_FULL` themselves.
 */
export class Upkeep {
  readonly #storage: KeptLog;
  readonly #intervalMs: number;
  readonly #durability: Durability;
  readonly #ended: AbortController = new AbortController();
  #claim: Claim | null = null;
  #checkpointer: Checkpointer | null = null;
  #rounds: Promise<void> = Promise.resolve();

  constructor(storage: KeptLog, intervalMs: number, durability: Durability) {
    this.#storage = storage;
    this.#intervalMs = intervalMs;
    this.#durability = durability;
  }

  /** @throws {SluiceError} `DIRECTORY_IN_USE` when every commit is to be durable, and another process does the checkpoints. */
  async begin(): Promise<void> {
    if (this.#durability === 'every-commit') this.#claim = await this.#storage.claims.take('upkeep');
    await this.#takeOver();
    this.#rounds = this.#run();
  }

  /**
   * Resolves when everything committed before the call is on the disk.
   *
   * @throws {SluiceError} `STORAGE_FULL`, `STORAGE_FAILED`
   */
  async checkpoint(): Promise<void> {
    if (this.#checkpointer === null) await this.#takeOver();
    if (this.#checkpointer === null) {
      throw new SluiceError(
        'DURABILITY_ELSEWHERE',
        `could not write a checkpoint of ${this.#storage.directory}: another process does, at an interval. ` +
          `Ask that one, or let it end`,
        { fields: { directory: this.#storage.directory } },
      );
    }
    await this.#checkpointer.checkpoint();
  }

  /** Writes a last checkpoint and stops. */
  async end(): Promise<void> {
    this.#ended.abort();
    await this.#rounds;
    try {
      await this.#checkpointer?.close();
    } finally {
      if (this.#claim !== null) this.#storage.claims.release(this.#claim);
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#storage;
    let retentionDueMs = clock.monotonicMs() + retentionIntervalMs;
    for (;;) {
      await clock.sleep(this.#intervalMs, this.#ended.signal);
      if (this.#ended.signal.aborted) return;
      try {
        if (this.#checkpointer === null) await this.#takeOver();
        if (this.#checkpointer === null) continue;
        await this.#checkpointer.checkpoint();
        if (clock.monotonicMs() < retentionDueMs) continue;
        retentionDueMs = clock.monotonicMs() + retentionIntervalMs;
        this.#storage.applyRetention();
      } catch (thrown) {
        if (!(thrown instanceof SluiceError)) throw thrown;
      }
    }
  }

  async #takeOver(): Promise<void> {
    if (this.#claim === null) {
      const taken = await this.#storage.claims.tryTake('upkeep');
      if (!('epoch' in taken)) return;
      this.#claim = taken;
    }
    this.#checkpointer ??= await Checkpointer.open(this.#storage.environment);
  }
}
