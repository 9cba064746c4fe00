import { strict as assert } from 'node:assert';
import { SluiceError } from '../error.ts';
import type { FollowerPosition, FollowerPositions } from '../execution/follower.ts';
import type { Claim } from './claims.ts';
import { getJson, putJson } from './lmdb-environment.ts';
import type { Storage } from './storage.ts';

/** A follower's position in the embedded log, by group and topic, as a consumer group's offsets are in Kafka. */
export class EmbeddedPositions implements FollowerPositions {
  readonly #storage: Storage;
  readonly #group: string;
  readonly #topicName: string;
  #claim: Claim | null = null;

  constructor(storage: Storage, group: string, topicName: string) {
    this.#storage = storage;
    this.#group = group;
    this.#topicName = topicName;
  }

  /** @throws {SluiceError} `DIRECTORY_IN_USE` when a follower of the group runs in another process. */
  async load(): Promise<FollowerPosition> {
    this.#claim = await this.#storage.claims.take(`follower ${this.#group} of topic ${this.#topicName}`);
    this.#storage.environment.refresh();
    const found = getJson(this.#storage.environment.jobs, this.#key());
    return found === undefined ? { offsets: [], chunk: null } : (found as FollowerPosition);
  }

  /** @throws {SluiceError} `TASK_FENCED`, `STORAGE_FULL` */
  async store(position: FollowerPosition): Promise<void> {
    const claim = this.#claim;
    assert(claim !== null, 'a position is loaded before it is stored');
    const { environment, claims, directory } = this.#storage;
    environment.write(`store the position of follower ${this.#group}`, () => {
      if (!claims.holds(claim)) {
        throw new SluiceError(
          'TASK_FENCED',
          `follower ${this.#group} of topic ${this.#topicName} must be the only one of its group in ${directory}; another has taken over. It goes on from the last chunk`,
          { fields: { group: this.#group, topic: this.#topicName } },
        );
      }
      putJson(environment.jobs, this.#key(), position);
    });
    await this.#storage.settle();
  }

  /** Closes it; nothing may be called afterwards. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#claim !== null) this.#storage.claims.release(this.#claim);
    this.#claim = null;
    return Promise.resolve();
  }

  #key(): (string | number)[] {
    return ['position', this.#group, this.#topicName];
  }
}
